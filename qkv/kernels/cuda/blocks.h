// Numbers in blocks (kernels/blocks.h) as kernels read them: by groups of 32, whose codes are bytes that __dp4a takes.
// Blocks are read by words, as wide as their size lets them be aligned.
#pragma once

#include "qkv/kernels/blocks.h"
#include "qkv/kernels/cuda/number.h"

namespace qkv::kernels {

// value[i] = scale[i / 16] (code[i] - offset) - low[i / 16], where offset is the type's, and low 0 unless it has lows.
struct Group {
  uint32_t word[8];  // code[i] is byte i % 4 of word i / 4, the lowest first
  float scale[2];
  float low[2];

  __device__ int code(int i) const { return static_cast<int8_t>(word[i / 4] >> (i % 4 * 8)); }
};

// `count` words of a block, all of whose parts begin at multiples of `alignment` bytes.
template <int alignment, int count>
__device__ inline void read_words(const void* from, uint32_t (&words)[count]) {
  if constexpr (alignment == 16) {
    struct alignas(16) Four {
      uint32_t at[4];
    };
#pragma unroll
    for (int i = 0; i < count / 4; ++i) {
      const Four four = static_cast<const Four*>(from)[i];
#pragma unroll
      for (int j = 0; j < 4; ++j) words[4 * i + j] = four.at[j];
    }
  } else if constexpr (alignment == 4) {
#pragma unroll
    for (int i = 0; i < count; ++i) words[i] = static_cast<const uint32_t*>(from)[i];
  } else {
#pragma unroll
    for (int i = 0; i < count; ++i) {
      const uint16_t* halves = static_cast<const uint16_t*>(from) + 2 * i;
      words[i] = halves[0] | static_cast<uint32_t>(halves[1]) << 16;
    }
  }
}

// How each block type is read: `length` numbers a block; read(block, g) gives numbers 32 g to 32 g + 31 of it.
template <DType type>
struct BlockReader;

// Nibbles of 16 bytes: number i, then number i + 16 above it.
template <int alignment>
__device__ inline void read_nibbles(const uint8_t* codes, Group& group) {
  uint32_t words[4];
  read_words<alignment>(codes, words);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    group.word[i] = words[i] & 0x0f0f0f0fU;
    group.word[i + 4] = words[i] >> 4 & 0x0f0f0f0fU;
  }
}

// A fifth bit for each of 32 numbers.
template <int alignment>
__device__ inline void add_fifth_bits(const uint8_t* high, Group& group) {
  uint32_t bits[1];
  read_words<alignment>(high, bits);
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const uint32_t four = bits[0] >> (4 * i);
    group.word[i] |= (four & 1) << 4 | (four & 2) << 11 | (four & 4) << 18 | (four & 8) << 25;
  }
}

template <typename Block>
__device__ inline Group one_scale(const Block& block) {
  Group group;
  group.scale[0] = group.scale[1] = to_float(block.d);
  group.low[0] = group.low[1] = 0;
  if constexpr (requires { block.m; }) group.low[0] = group.low[1] = -to_float(block.m);
  return group;
}

template <>
struct BlockReader<DType::q4_0> {
  using Block = BlockQ4_0;
  static constexpr int length = 32, offset = 8;
  static constexpr bool lows = false;
  __device__ static Group read(const Block& block, int) {
    Group group = one_scale(block);
    read_nibbles<2>(block.codes, group);
    return group;
  }
};
template <>
struct BlockReader<DType::q4_1> {
  using Block = BlockQ4_1;
  static constexpr int length = 32, offset = 0;
  static constexpr bool lows = true;
  __device__ static Group read(const Block& block, int) {
    Group group = one_scale(block);
    read_nibbles<4>(block.codes, group);
    return group;
  }
};
template <>
struct BlockReader<DType::q5_0> {
  using Block = BlockQ5_0;
  static constexpr int length = 32, offset = 16;
  static constexpr bool lows = false;
  __device__ static Group read(const Block& block, int) {
    Group group = one_scale(block);
    read_nibbles<2>(block.codes, group);
    add_fifth_bits<2>(block.high, group);
    return group;
  }
};
template <>
struct BlockReader<DType::q5_1> {
  using Block = BlockQ5_1;
  static constexpr int length = 32, offset = 0;
  static constexpr bool lows = true;
  __device__ static Group read(const Block& block, int) {
    Group group = one_scale(block);
    read_nibbles<4>(block.codes, group);
    add_fifth_bits<4>(block.high, group);
    return group;
  }
};
template <>
struct BlockReader<DType::q8_0> {
  using Block = BlockQ8_0;
  static constexpr int length = 32, offset = 0;
  static constexpr bool lows = false;
  __device__ static Group read(const Block& block, int) {
    Group group = one_scale(block);
    read_words<2>(block.codes, group.word);
    return group;
  }
};
template <>
struct BlockReader<DType::iq4_nl> {
  using Block = BlockIq4Nl;
  static constexpr int length = 32, offset = 0;
  static constexpr bool lows = false;
  // The sixteen codes as two words, which stay in registers.
  static constexpr uint64_t eight_codes(int begin) {
    uint64_t bytes = 0;
    for (int i = 7; i >= 0; --i)
      bytes = bytes << 8 | static_cast<uint8_t>(iq4_nl_codes[static_cast<size_t>(begin + i)]);
    return bytes;
  }
  __device__ static Group read(const Block& block, int) {
    constexpr uint64_t lower = eight_codes(0), upper = eight_codes(8);
    Group group = one_scale(block);
    read_nibbles<2>(block.codes, group);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      uint32_t codes = 0;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const uint32_t n = group.word[i] >> (8 * j) & 15;
        codes |= static_cast<uint32_t>((n < 8 ? lower : upper) >> (n % 8 * 8) & 255) << (8 * j);
      }
      group.word[i] = codes;
    }
    return group;
  }
};

// `bits` lower bits of the bytes of words, after a shift.
__device__ inline uint32_t lower_bits(uint32_t word, int shift, uint32_t bits) {
  return word >> shift & ((1U << bits) - 1) * 0x01010101U;
}

template <>
struct BlockReader<DType::q2_k> {
  using Block = BlockQ2K;
  static constexpr int length = 256, offset = 0;
  static constexpr bool lows = true;
  __device__ static Group read(const Block& block, int g) {
    Group group;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const uint8_t byte = block.scales[2 * g + half];
      group.scale[half] = to_float(block.d) * static_cast<float>(byte & 15);
      group.low[half] = to_float(block.m) * static_cast<float>(byte >> 4);
    }
    uint32_t words[8];
    read_words<4>(block.codes + g / 4 * 32, words);
#pragma unroll
    for (int i = 0; i < 8; ++i) group.word[i] = lower_bits(words[i], g % 4 * 2, 2);
    return group;
  }
};
template <>
struct BlockReader<DType::q3_k> {
  using Block = BlockQ3K;
  static constexpr int length = 256, offset = 4;
  static constexpr bool lows = false;
  __device__ static Group read(const Block& block, int g) {
    Group group;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int s = 2 * g + half;
      const int upper = block.scales[8 + s % 4] >> (s / 4 * 2) & 3;
      const int scale = (block.scales[s % 8] >> (s / 8 * 4) & 15) + 16 * upper - 32;
      group.scale[half] = to_float(block.d) * static_cast<float>(scale);
      group.low[half] = 0;
    }
    uint32_t words[8], high[8];
    read_words<2>(block.codes + g / 4 * 32, words);
    read_words<2>(block.high, high);
#pragma unroll
    for (int i = 0; i < 8; ++i) group.word[i] = lower_bits(words[i], g % 4 * 2, 2) | lower_bits(high[i], g, 1) << 2;
    return group;
  }
};

// Of the eight scales and eight lows of 6 bits in 12 bytes (reference/block_fields.cpp), those of group g.
template <typename Block>
__device__ inline Group scale_and_low(const Block& block, int g) {
  const uint8_t* bytes = block.scales;
  const int scale = g < 4 ? bytes[g] & 63 : (bytes[g + 4] & 15) | (bytes[g - 4] >> 6 << 4);
  const int low = g < 4 ? bytes[g + 4] & 63 : (bytes[g + 4] >> 4) | (bytes[g] >> 6 << 4);
  Group group;
  group.scale[0] = group.scale[1] = to_float(block.d) * static_cast<float>(scale);
  group.low[0] = group.low[1] = to_float(block.m) * static_cast<float>(low);
  return group;
}

template <>
struct BlockReader<DType::q4_k> {
  using Block = BlockQ4K;
  static constexpr int length = 256, offset = 0;
  static constexpr bool lows = true;
  __device__ static Group read(const Block& block, int g) {
    Group group = scale_and_low(block, g);
    uint32_t words[8];
    read_words<16>(block.codes + g / 2 * 32, words);
#pragma unroll
    for (int i = 0; i < 8; ++i) group.word[i] = lower_bits(words[i], g % 2 * 4, 4);
    return group;
  }
};
template <>
struct BlockReader<DType::q5_k> {
  using Block = BlockQ5K;
  static constexpr int length = 256, offset = 0;
  static constexpr bool lows = true;
  __device__ static Group read(const Block& block, int g) {
    Group group = scale_and_low(block, g);
    uint32_t words[8], high[8];
    read_words<16>(block.codes + g / 2 * 32, words);
    read_words<16>(block.high, high);
#pragma unroll
    for (int i = 0; i < 8; ++i) group.word[i] = lower_bits(words[i], g % 2 * 4, 4) | lower_bits(high[i], g, 1) << 4;
    return group;
  }
};
template <>
struct BlockReader<DType::q6_k> {
  using Block = BlockQ6K;
  static constexpr int length = 256, offset = 32;
  static constexpr bool lows = false;
  __device__ static Group read(const Block& block, int g) {
    Group group;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      group.scale[half] = to_float(block.d) * static_cast<float>(block.scales[2 * g + half]);
      group.low[half] = 0;
    }
    uint32_t words[8], high[8];
    read_words<2>(block.codes + g / 4 * 64 + g % 2 * 32, words);
    read_words<2>(block.high + g / 4 * 32, high);
#pragma unroll
    for (int i = 0; i < 8; ++i)
      group.word[i] = lower_bits(words[i], g % 4 / 2 * 4, 4) | lower_bits(high[i], g % 4 * 2, 2) << 4;
    return group;
  }
};

// Group g of a row of blocks.
template <DType type>
__device__ inline Group read_group(const void* row, int64_t g) {
  using Reader = BlockReader<type>;
  constexpr int groups = Reader::length / 32;
  const auto* blocks = static_cast<const typename Reader::Block*>(row);
  return Reader::read(blocks[g / groups], static_cast<int>(g % groups));
}

// Number i of a group.
template <DType type>
__device__ inline float number_of(const Group& group, int i) {
  return group.scale[i / 16] * static_cast<float>(group.code(i) - BlockReader<type>::offset) - group.low[i / 16];
}

// Calls start(type) with the block type as a constant.
template <typename Start>
void with_block_type(DType type, Start&& start) {
  const auto at = [&](auto... types) { ((type == types.value ? start(types) : void()), ...); };
  at(std::integral_constant<DType, DType::q4_0>(), std::integral_constant<DType, DType::q4_1>(),
     std::integral_constant<DType, DType::q5_0>(), std::integral_constant<DType, DType::q5_1>(),
     std::integral_constant<DType, DType::q8_0>(), std::integral_constant<DType, DType::iq4_nl>(),
     std::integral_constant<DType, DType::q2_k>(), std::integral_constant<DType, DType::q3_k>(),
     std::integral_constant<DType, DType::q4_k>(), std::integral_constant<DType, DType::q5_k>(),
     std::integral_constant<DType, DType::q6_k>());
}

}  // namespace qkv::kernels
