// The element types of tensors.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

namespace qkv {

// Elements, then blocks of quantised numbers as GGUF files hold them (kernels/blocks.h), which may stand only where a
// weight stands: the last dimension is a multiple of the block's length and dense.
enum class DType : uint8_t {
  f32,
  bf16,
  f16,
  i64,
  i32,
  u8,
  boolean,
  i8,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q8_0,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  iq4_nl
};

inline bool is_block(DType type) { return type >= DType::q4_0; }
int64_t size_of(DType type);       // bytes an element; throws Error (internal) for blocks
int64_t block_length(DType type);  // elements a block; 1 where there are no blocks
int64_t block_bytes(DType type);   // bytes a block, or an element
// Bytes of `count` elements. Throws Error where they are no whole number of blocks, or too many to count.
int64_t bytes_of(DType type, int64_t count);
std::string_view name_of(DType type);  // "f32", "bf16", "q4_k", ...
DType dtype_named(
    std::string_view name);  // accepts our names and safetensors' ("F32", "BF16", ...), not blocks'; throws
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

// x rounded to a bfloat16 below or above it, above where the 16 bits of `random` and the part cut off add up to a whole
// step: over all of them the mean is x. Infinity and NaN stay what they are.
constexpr uint16_t bf16_at_random(float x, uint32_t random) {
  const uint32_t word = std::bit_cast<uint32_t>(x);
  if ((word & 0x7f800000U) != 0x7f800000U) return static_cast<uint16_t>((word + (random & 0xffffU)) >> 16);
  return static_cast<uint16_t>(word >> 16 | ((word & 0x7fffffU) != 0 ? 0x40U : 0U));
}

// IEEE half precision. Conversion rounds to nearest even; what is too large becomes infinite.
struct f16 {
  uint16_t bits = 0;
  f16() = default;
  explicit f16(float value);
  explicit operator float() const;
};

}  // namespace qkv
