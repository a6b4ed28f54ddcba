// The element types of tensors.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

namespace qkv {

enum class DType : uint8_t { f32, bf16, f16, i64, i32, u8, boolean };

int64_t size_of(DType type);               // bytes an element
std::string_view name_of(DType type);      // "f32", "bf16", ...
DType dtype_named(std::string_view name);  // accepts our names and safetensors' ("F32", "BF16", ...); throws Error
inline bool is_float(DType type) { return type == DType::f32 || type == DType::bf16 || type == DType::f16; }

// bfloat16: the upper half of an IEEE float; conversion rounds to nearest even and keeps NaN a NaN.
struct bf16 {
  uint16_t bits = 0;
  bf16() = default;
  explicit bf16(float value) {
    uint32_t word = std::bit_cast<uint32_t>(value);
    if ((word & 0x7fffffffU) > 0x7f800000U) {
      bits = static_cast<uint16_t>((word >> 16) | 0x40U);
    } else {
      bits = static_cast<uint16_t>((word + 0x7fffU + ((word >> 16) & 1U)) >> 16);
    }
  }
  explicit operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
};

// IEEE half precision; a storage type only: kernels compute in f32.
struct f16 {
  uint16_t bits = 0;
  f16() = default;
  explicit f16(float value);
  explicit operator float() const;
};

}  // namespace qkv
