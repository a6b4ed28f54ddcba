#include "qkv/tensor/dtype.h"

#include "qkv/core/error.h"

#include <array>

namespace qkv {
namespace {

struct Row {
  DType type;
  int64_t size;
  std::string_view name;
  std::string_view safetensors_name;
};

constexpr std::array<Row, 7> rows = {{
    {DType::f32, 4, "f32", "F32"},
    {DType::bf16, 2, "bf16", "BF16"},
    {DType::f16, 2, "f16", "F16"},
    {DType::i64, 8, "i64", "I64"},
    {DType::i32, 4, "i32", "I32"},
    {DType::u8, 1, "u8", "U8"},
    {DType::boolean, 1, "bool", "BOOL"},
}};

}  // namespace

int64_t size_of(DType type) { return rows[static_cast<size_t>(type)].size; }
std::string_view name_of(DType type) { return rows[static_cast<size_t>(type)].name; }

DType dtype_named(std::string_view name) {
  for (const Row& row : rows)
    if (name == row.name || name == row.safetensors_name) return row.type;
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
