// Values of GGUF's metadata, and the numbers that stand for types in its files.
#pragma once

#include "qkv/core/json.h"
#include "qkv/tensor/dtype.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace qkv {

enum class GgufType : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

struct GgufValue {
  GgufType type = GgufType::u32;
  Json value;
  GgufType item = GgufType::u32;  // of an array's items

  static GgufValue of_u32(uint64_t value) { return {GgufType::u32, value, {}}; }
  static GgufValue of_f32(double value) { return {GgufType::f32, value, {}}; }
  static GgufValue of_bool(bool value) { return {GgufType::boolean, value, {}}; }
  static GgufValue of_string(std::string value) { return {GgufType::string, std::move(value), {}}; }
  static GgufValue of_array(GgufType item, Json values) { return {GgufType::array, std::move(values), item}; }
};

using GgufMetadata = std::map<std::string, GgufValue>;

// The number of a tensor's type (ggml.h: enum ggml_type), and back; nothing for those that tensors here do not have.
std::optional<uint32_t> gguf_number(DType type);
std::optional<DType> gguf_dtype(uint32_t number);

}  // namespace qkv
