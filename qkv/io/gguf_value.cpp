#include "qkv/io/gguf_value.h"

#include <utility>

namespace qkv {
namespace {

template <typename T>
void append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

constexpr std::pair<DType, uint32_t> type_numbers[] = {
    {DType::f32, 0},     {DType::f16, 1},   {DType::q4_0, 2},  {DType::q4_1, 3},  {DType::q5_0, 6},  {DType::q5_1, 7},
    {DType::q8_0, 8},    {DType::q2_k, 10}, {DType::q3_k, 11}, {DType::q4_k, 12}, {DType::q5_k, 13}, {DType::q6_k, 14},
    {DType::iq4_nl, 20}, {DType::i32, 26},  {DType::i64, 27},  {DType::bf16, 30}};

}  // namespace

Json read_gguf_value(ByteReader& reader, GgufType type, const std::string& place) {
  switch (type) {
    case GgufType::u8:
      return reader.number<uint8_t>();
    case GgufType::i8:
      return reader.number<int8_t>();
    case GgufType::u16:
      return reader.number<uint16_t>();
    case GgufType::i16:
      return reader.number<int16_t>();
    case GgufType::u32:
      return reader.number<uint32_t>();
    case GgufType::i32:
      return reader.number<int32_t>();
    case GgufType::f32:
      return reader.number<float>();
    case GgufType::boolean: {
      const auto byte = reader.number<uint8_t>();
      if (byte > 1) throw Error(place, fmt::format("is {}, neither true nor false", byte), damaged_hint);
      return byte == 1;
    }
    case GgufType::u64:
      return reader.number<uint64_t>();
    case GgufType::i64:
      return reader.number<int64_t>();
    case GgufType::f64:
      return reader.number<double>();
    default:
      return std::string(reader.take(reader.u64()));
  }
}

void append_gguf_value(std::string& bytes, GgufType type, const Json& value) {
  switch (type) {
    case GgufType::u8:
      return append(bytes, value.get<uint8_t>());
    case GgufType::i8:
      return append(bytes, value.get<int8_t>());
    case GgufType::u16:
      return append(bytes, value.get<uint16_t>());
    case GgufType::i16:
      return append(bytes, value.get<int16_t>());
    case GgufType::u32:
      return append(bytes, value.get<uint32_t>());
    case GgufType::i32:
      return append(bytes, value.get<int32_t>());
    case GgufType::f32:
      return append(bytes, value.get<float>());
    case GgufType::boolean:
      return append(bytes, static_cast<uint8_t>(value.get<bool>()));
    case GgufType::u64:
      return append(bytes, value.get<uint64_t>());
    case GgufType::i64:
      return append(bytes, value.get<int64_t>());
    case GgufType::f64:
      return append(bytes, value.get<double>());
    default: {
      const auto& text = value.get_ref<const std::string&>();
      append(bytes, static_cast<uint64_t>(text.size()));
      bytes += text;
    }
  }
}

std::vector<std::string_view> GgufList::strings() const {
  ByteReader reader(bytes, "gguf", "a list");
  std::vector<std::string_view> texts;
  texts.reserve(size);
  for (uint64_t i = 0; i < size; ++i) texts.push_back(reader.take(reader.u64()));
  return texts;
}

Json GgufList::json() const {
  ByteReader reader(bytes, "gguf", "a list");
  Json values = Json::array();
  for (uint64_t i = 0; i < size; ++i) values.push_back(read_gguf_value(reader, item, "gguf"));
  return values;
}

GgufValue GgufValue::of_array(GgufType item, const Json& values) {
  GgufList list{item, values.size(), {}};
  for (const Json& value : values) append_gguf_value(list.bytes, item, value);
  return {GgufType::array, {}, std::move(list)};
}

std::optional<uint32_t> gguf_number(DType type) {
  for (const auto& [ours, number] : type_numbers)
    if (ours == type) return number;
  return std::nullopt;
}

std::optional<DType> gguf_dtype(uint32_t number) {
  for (const auto& [ours, theirs] : type_numbers)
    if (theirs == number) return ours;
  return std::nullopt;
}

}  // namespace qkv
