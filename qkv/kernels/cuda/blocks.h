// Numbers in blocks (kernels/blocks.h) as kernels read them: by groups of 32, whose codes are bytes that __dp4a takes.
#pragma once

#include "qkv/kernels/blocks.h"
#include "qkv/kernels/cuda/number.h"

namespace qkv::kernels {

// value[i] = scale[i / 16] code[i] - low[i / 16]
struct Group {
  alignas(16) int8_t code[32];
  float scale[2];
  float low[2];
};

// How each block type is read: `length` numbers a block; read(block, g) gives numbers 32 g to 32 g + 31 of it.
template <DType type>
struct BlockReader;

// Nibbles of 16 bytes: number i, then number i + 16 above it.
__device__ inline int nibble(const uint8_t* codes, int i) { return codes[i % 16] >> (i / 16 * 4) & 15; }

template <typename Block>
__device__ inline Group one_scale(const Block& block) {
  Group group;
  group.scale[0] = group.scale[1] = to_float(block.d);
  group.low[0] = group.low[1] = 0;
  return group;
}

template <>
struct BlockReader<DType::q4_0> {
  using Block = BlockQ4_0;
  static constexpr int length = 32;
  static constexpr bool lows = false;
  __device__ static Group read(const Block& block, int) {
    Group group = one_scale(block);
#pragma unroll
    for (int i = 0; i < 32; ++i) group.code[i] = static_cast<int8_t>(nibble(block.codes, i) - 8);
    return group;
  }
};
template <>
struct BlockReader<DType::q4_1> {
  using Block = BlockQ4_1;
  static constexpr int length = 32;
  static constexpr bool lows = true;
  __device__ static Group read(const Block& block, int) {
    Group group = one_scale(block);
    group.low[0] = group.low[1] = -to_float(block.m);
#pragma unroll
    for (int i = 0; i < 32; ++i) group.code[i] = static_cast<int8_t>(nibble(block.codes, i));
    return group;
  }
};
template <>
struct BlockReader<DType::q5_0> {
  using Block = BlockQ5_0;
  static constexpr int length = 32;
  static constexpr bool lows = false;
  __device__ static Group read(const Block& block, int) {
    Group group = one_scale(block);
#pragma unroll
    for (int i = 0; i < 32; ++i)
      group.code[i] = static_cast<int8_t>(nibble(block.codes, i) + 16 * (block.high[i / 8] >> (i % 8) & 1) - 16);
    return group;
  }
};
template <>
struct BlockReader<DType::q5_1> {
  using Block = BlockQ5_1;
  static constexpr int length = 32;
  static constexpr bool lows = true;
  __device__ static Group read(const Block& block, int) {
    Group group = one_scale(block);
    group.low[0] = group.low[1] = -to_float(block.m);
#pragma unroll
    for (int i = 0; i < 32; ++i)
      group.code[i] = static_cast<int8_t>(nibble(block.codes, i) + 16 * (block.high[i / 8] >> (i % 8) & 1));
    return group;
  }
};
template <>
struct BlockReader<DType::q8_0> {
  using Block = BlockQ8_0;
  static constexpr int length = 32;
  static constexpr bool lows = false;
  __device__ static Group read(const Block& block, int) {
    Group group = one_scale(block);
#pragma unroll
    for (int i = 0; i < 32; ++i) group.code[i] = block.codes[i];
    return group;
  }
};
template <>
struct BlockReader<DType::iq4_nl> {
  using Block = BlockIq4Nl;
  static constexpr int length = 32;
  static constexpr bool lows = false;
  // The sixteen codes as two words, which stay in registers.
  static constexpr uint64_t word(int begin) {
    uint64_t bytes = 0;
    for (int i = 7; i >= 0; --i) bytes = bytes << 8 | static_cast<uint8_t>(iq4_nl_codes[begin + i]);
    return bytes;
  }
  __device__ static Group read(const Block& block, int) {
    constexpr uint64_t lower = word(0), upper = word(8);
    Group group = one_scale(block);
#pragma unroll
    for (int i = 0; i < 32; ++i) {
      const int n = nibble(block.codes, i);
      group.code[i] = static_cast<int8_t>((n < 8 ? lower : upper) >> (n % 8 * 8));
    }
    return group;
  }
};

// Two bits for each of 256 numbers: 128 in 32 bytes, number i with i + 32, i + 64 and i + 96 above it.
__device__ inline int pair(const uint8_t* bits, int g, int i) { return bits[g / 4 * 32 + i] >> (g % 4 * 2) & 3; }

template <>
struct BlockReader<DType::q2_k> {
  using Block = BlockQ2K;
  static constexpr int length = 256;
  static constexpr bool lows = true;
  __device__ static Group read(const Block& block, int g) {
    Group group;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const uint8_t byte = block.scales[2 * g + half];
      group.scale[half] = to_float(block.d) * static_cast<float>(byte & 15);
      group.low[half] = to_float(block.m) * static_cast<float>(byte >> 4);
    }
#pragma unroll
    for (int i = 0; i < 32; ++i) group.code[i] = static_cast<int8_t>(pair(block.codes, g, i));
    return group;
  }
};
template <>
struct BlockReader<DType::q3_k> {
  using Block = BlockQ3K;
  static constexpr int length = 256;
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
#pragma unroll
    for (int i = 0; i < 32; ++i)
      group.code[i] = static_cast<int8_t>(pair(block.codes, g, i) + 4 * (block.high[i] >> g & 1) - 4);
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
  static constexpr int length = 256;
  static constexpr bool lows = true;
  __device__ static Group read(const Block& block, int g) {
    Group group = scale_and_low(block, g);
#pragma unroll
    for (int i = 0; i < 32; ++i) group.code[i] = static_cast<int8_t>(block.codes[g / 2 * 32 + i] >> (g % 2 * 4) & 15);
    return group;
  }
};
template <>
struct BlockReader<DType::q5_k> {
  using Block = BlockQ5K;
  static constexpr int length = 256;
  static constexpr bool lows = true;
  __device__ static Group read(const Block& block, int g) {
    Group group = scale_and_low(block, g);
#pragma unroll
    for (int i = 0; i < 32; ++i)
      group.code[i] =
          static_cast<int8_t>((block.codes[g / 2 * 32 + i] >> (g % 2 * 4) & 15) + 16 * (block.high[i] >> g & 1));
    return group;
  }
};
template <>
struct BlockReader<DType::q6_k> {
  using Block = BlockQ6K;
  static constexpr int length = 256;
  static constexpr bool lows = false;
  __device__ static Group read(const Block& block, int g) {
    Group group;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      group.scale[half] = to_float(block.d) * static_cast<float>(block.scales[2 * g + half]);
      group.low[half] = 0;
    }
#pragma unroll
    for (int i = 0; i < 32; ++i)
      group.code[i] = static_cast<int8_t>((block.codes[g / 4 * 64 + g % 2 * 32 + i] >> (g % 4 / 2 * 4) & 15) +
                                          16 * pair(block.high, g, i) - 32);
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
