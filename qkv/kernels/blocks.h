// Block-quantised numbers as GGUF files hold them (github.com/ggml-org/ggml, ggml-common.h): the layouts of blocks, and
// rows of them. A block holds block_length(type) numbers of one row, in groups of 16 or 32 that share a scale:
//   value = (d scale) code - (m low)
// where d and m are halves, scale and low small integers of the group (1 in the formats of 32 numbers), and code an
// integer of 2 to 8 bits. Integers are packed with the lowest bits first; where two halves of a group share bytes, the
// first half has the lower bits.
#pragma once

#include "qkv/tensor/dtype.h"

#include <array>
#include <cstdint>

namespace qkv::kernels {

struct BlockQ4_0 {  // code = nibble - 8
  f16 d;
  uint8_t codes[16];
};
struct BlockQ4_1 {  // d code + m
  f16 d, m;
  uint8_t codes[16];
};
struct BlockQ5_0 {  // code = nibble + 16 bit - 16; bit i of `high` belongs to number i
  f16 d;
  uint8_t high[4];
  uint8_t codes[16];
};
struct BlockQ5_1 {  // d code + m
  f16 d, m;
  uint8_t high[4];
  uint8_t codes[16];
};
struct BlockQ8_0 {
  f16 d;
  int8_t codes[32];
};
struct BlockIq4Nl {  // code = iq4_nl_codes[nibble]
  f16 d;
  uint8_t codes[16];
};
inline constexpr std::array<int8_t, 16> iq4_nl_codes = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                        1,    13,   25,  38,  53,  69,  89,  113};

// Blocks of 256 numbers.
struct BlockQ2K {      // 16 groups of 16
  uint8_t scales[16];  // scale in the lower nibble, low in the upper
  uint8_t codes[64];   // each half of 128 numbers in 32 bytes: byte i holds numbers i, i + 32, i + 64, i + 96
  f16 d, m;
};
struct BlockQ3K {      // 16 groups of 16; code = 2 bits + 4 bit - 4
  uint8_t high[32];    // bit j of byte i belongs to number 32 j + i
  uint8_t codes[64];   // as in BlockQ2K
  uint8_t scales[12];  // 6 bits each, 32 more than the scale: 16 nibbles, then the 16 pairs of upper bits
  f16 d;
};
struct BlockQ4K {  // 8 groups of 32
  f16 d, m;
  uint8_t scales[12];  // scales and lows of 6 bits: see block_fields.cpp
  uint8_t codes[128];  // 64 numbers in 32 bytes: a group in the lower nibbles, the next in the upper
};
struct BlockQ5K {  // 8 groups of 32
  f16 d, m;
  uint8_t scales[12];
  uint8_t high[32];  // bit j of byte i belongs to number 32 j + i
  uint8_t codes[128];
};
struct BlockQ6K {      // 16 groups of 16; code = nibble + 16 two bits - 32
  uint8_t codes[128];  // each half of 128 numbers in 64 bytes: numbers 0..63 in the lower nibbles, then 64..127
  uint8_t high[64];    // and in 32 bytes: byte i holds the upper bits of numbers i, i + 32, i + 64, i + 96
  int8_t scales[16];
  f16 d;
};

static_assert(sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20 && sizeof(BlockQ5_0) == 22 &&
              sizeof(BlockQ5_1) == 24 && sizeof(BlockQ8_0) == 34 && sizeof(BlockIq4Nl) == 18);
static_assert(sizeof(BlockQ2K) == 84 && sizeof(BlockQ3K) == 110 && sizeof(BlockQ4K) == 144 && sizeof(BlockQ5K) == 176 &&
              sizeof(BlockQ6K) == 210);

// out[0, count) = the numbers in a row of blocks. f32, bf16 and f16 rows are converted alike.
void dequantize_row(DType type, const void* row, float* out, int64_t count);

// The opposite: scales are searched for so that sum_i importance[i] (value[i] - in blocks[i])^2 is small; a null
// importance is 1 for all. `count` is a multiple of the block's length; values are finite, below f16's range. Serial
// and deterministic.
void quantize_row(DType type, const float* values, void* row, int64_t count, const float* importance = nullptr);

// The quick way, for numbers that are rounded while they are used (a cache's): no search. Of each 32,
//   d = half(max |x| / 127),   code = round(x (127 / max |x|)), half-way cases to the even integer, all in f32.
// A block with a number that is not finite, or too large for d, is NaN; one with none beyond 1e-30 is 0.
void quantize_q8_0(const float* values, BlockQ8_0* blocks, int64_t count);
inline constexpr float least_q8_0 = 1e-30F, most_q8_0 = 65504.0F * 127;

}  // namespace qkv::kernels
