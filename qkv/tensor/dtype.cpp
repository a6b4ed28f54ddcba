#include "qkv/tensor/dtype.h"

#include "qkv/core/error.h"

#include <array>

namespace qkv {
namespace {

struct Row {
  DType type;
  int64_t bytes;   // a block
  int64_t length;  // elements a block
  std::string_view name;
  std::string_view safetensors_name;
};

constexpr std::array<Row, 19> rows = {{
    {DType::f32, 4, 1, "f32", "F32"},       {DType::bf16, 2, 1, "bf16", "BF16"}, {DType::f16, 2, 1, "f16", "F16"},
    {DType::i64, 8, 1, "i64", "I64"},       {DType::i32, 4, 1, "i32", "I32"},    {DType::u8, 1, 1, "u8", "U8"},
    {DType::boolean, 1, 1, "bool", "BOOL"}, {DType::i8, 1, 1, "i8", ""},         {DType::q4_0, 18, 32, "q4_0", ""},
    {DType::q4_1, 20, 32, "q4_1", ""},      {DType::q5_0, 22, 32, "q5_0", ""},   {DType::q5_1, 24, 32, "q5_1", ""},
    {DType::q8_0, 34, 32, "q8_0", ""},      {DType::q2_k, 84, 256, "q2_k", ""},  {DType::q3_k, 110, 256, "q3_k", ""},
    {DType::q4_k, 144, 256, "q4_k", ""},    {DType::q5_k, 176, 256, "q5_k", ""}, {DType::q6_k, 210, 256, "q6_k", ""},
    {DType::iq4_nl, 18, 32, "iq4_nl", ""},
}};

const Row& row_of(DType type) { return rows[static_cast<size_t>(type)]; }

}  // namespace

int64_t size_of(DType type) {
  if (is_block(type))
    throw Error("dtype", fmt::format("an element of {} has no size of its own", name_of(type)), "",
                Error::Kind::internal);
  return row_of(type).bytes;
}

int64_t block_length(DType type) { return row_of(type).length; }
int64_t block_bytes(DType type) { return row_of(type).bytes; }

int64_t bytes_of(DType type, int64_t count) {
  const Row& row = row_of(type);
  int64_t blocks = count, bytes = 0;
  if (is_block(type)) {
    blocks = count / row.length;
    if (blocks * row.length != count)
      throw Error("dtype",
                  fmt::format("{} elements are no whole number of {} blocks of {}", count, row.name, row.length));
  }
  if (__builtin_mul_overflow(blocks, row.bytes, &bytes))
    throw Error("dtype", fmt::format("{} elements of {} are too many", count, row.name));
  return bytes;
}

std::string_view name_of(DType type) { return row_of(type).name; }

DType dtype_named(std::string_view name) {
  for (const Row& row : rows)
    if (!is_block(row.type) && (name == row.name || name == row.safetensors_name)) return row.type;
  throw Error("dtype", fmt::format("unknown element type '{}'", name), "use f32, bf16, f16, i64, i32, u8 or bool");
}

f16::f16(float value) {
  const uint32_t word = std::bit_cast<uint32_t>(value);
  const uint16_t sign = static_cast<uint16_t>((word >> 16) & 0x8000U);
  const uint32_t magnitude = word & 0x7fffffffU;
  if (magnitude > 0x7f800000U) {
    bits = sign | 0x7e00U;  // NaN
  } else if (magnitude >= 0x477ff000U) {
    bits = sign | 0x7c00U;  // rounds to infinity
  } else if (magnitude < 0x38800000U) {
    // Subnormal half: adding 0.5 aligns the mantissa so that the float adder does the rounding.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    bits = sign | static_cast<uint16_t>(std::bit_cast<uint32_t>(shifted) - 0x3f000000U);
  } else {
    const uint32_t rounded = magnitude + 0xfffU + ((magnitude >> 13) & 1U);
    bits = sign | static_cast<uint16_t>((rounded - 0x38000000U) >> 13);
  }
}

f16::operator float() const {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000U) << 16;
  const uint32_t magnitude = bits & 0x7fffU;
  if (magnitude >= 0x7c00U) return std::bit_cast<float>(sign | 0x7f800000U | (magnitude & 0x3ffU) << 13);
  if (magnitude >= 0x400U) return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000U));
  const float small = static_cast<float>(magnitude) * 0x1p-24F;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(small));
}

}  // namespace qkv
