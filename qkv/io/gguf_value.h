// Values of GGUF's metadata, and the numbers that stand for types in its files.
#pragma once

#include "qkv/core/byte_reader.h"
#include "qkv/core/json.h"
#include "qkv/tensor/dtype.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

enum class GgufType : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

// A list, encoded as in the file: vocabularies and merges have many thousands of items, and are read in place.
struct GgufList {
  GgufType item = GgufType::u32;
  uint64_t size = 0;
  std::string bytes;

  // Of a list whose items are strings; they live as long as it does.
  std::vector<std::string_view> strings() const;
  // Of a list whose items are of this type.
  template <typename T>
  std::vector<T> numbers() const {
    std::vector<T> values(size);
    if (size > 0) std::memcpy(values.data(), bytes.data(), std::min(bytes.size(), size * sizeof(T)));
    return values;
  }
  Json json() const;
};

struct GgufValue {
  GgufType type = GgufType::u32;
  Json value;  // of what is no list
  GgufList list = {};

  static GgufValue of_u32(uint64_t value) { return {GgufType::u32, value, {}}; }
  static GgufValue of_f32(double value) { return {GgufType::f32, value, {}}; }
  static GgufValue of_bool(bool value) { return {GgufType::boolean, value, {}}; }
  static GgufValue of_string(std::string value) { return {GgufType::string, std::move(value), {}}; }
  static GgufValue of_array(GgufType item, const Json& values);
};

using GgufMetadata = std::map<std::string, GgufValue>;

// A value that is no list, read from a file and added to one. `place` stands for it in messages. Throws Error where the
// file ends, and for a truth value that is neither true nor false.
Json read_gguf_value(ByteReader& reader, GgufType type, const std::string& place);
void append_gguf_value(std::string& bytes, GgufType type, const Json& value);

// The number of a tensor's type (ggml.h: enum ggml_type), and back; nothing for those that tensors here do not have.
std::optional<uint32_t> gguf_number(DType type);
std::optional<DType> gguf_dtype(uint32_t number);

}  // namespace qkv
