// The codes and scales of a block format's blocks, 32 columns at a time, as words of four codes: word j holds the codes
// of columns 4j to 4j+3 in its bytes. Layouts of the blocks: qkv/kernels/blocks.h.
#pragma once

#include "qkv/tensor/dtype.h"

#include <cstdint>
#include <cstring>

namespace qkv::kernels::cpu_set {

struct BlockCodes {
  uint32_t words[8] = {};
  int8_t scales[2] = {};  // of types with integer scales in a super-block
  uint8_t minima[2] = {};
  uint16_t d = 0;        // f16: the super-block's scale
  uint16_t minimum = 0;  // f16: what a minimum is multiplied by, or the minimum; negated where the type adds it
};

constexpr uint32_t every_byte = 0x01010101;

inline uint32_t word_at(const uint8_t* p) {
  uint32_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}
inline uint16_t half_at(const uint8_t* p) {
  uint16_t half;
  std::memcpy(&half, p, sizeof half);
  return half;
}
inline uint16_t negated(uint16_t half) { return half ^ 0x8000; }

// Four bits, each to the lowest bit of a byte.
inline uint32_t spread(uint32_t bits) { return ((bits & 0xf) * 0x00204081) & every_byte; }

// Sixteen bytes: the low halves are columns 0 to 15, the high halves 16 to 31.
inline void low_and_high(const uint8_t* bytes, BlockCodes& codes) {
  for (int p = 0; p < 4; ++p) {
    const uint32_t word = word_at(bytes + 4 * p);
    codes.words[p] = word & (0x0f * every_byte);
    codes.words[p + 4] = (word >> 4) & (0x0f * every_byte);
  }
}

inline void fifth_bits(const uint8_t* bits, BlockCodes& codes) {
  const uint32_t all = word_at(bits);
  for (int j = 0; j < 8; ++j) codes.words[j] |= spread(all >> (4 * j)) << 4;
}

// Bits [shift, shift + width) of 32 bytes, to bit `place` of the codes.
inline void bits_of_bytes(const uint8_t* bytes, int64_t shift, int width, int place, BlockCodes& codes) {
  const uint32_t mask = ((1U << width) - 1) * every_byte;
  for (int j = 0; j < 8; ++j) codes.words[j] |= ((word_at(bytes + 4 * j) >> shift) & mask) << place;
}

// Six bits each of eight scales and eight minima, in twelve bytes (Q4_K, Q5_K).
inline void scale_and_minimum(const uint8_t* packed, int64_t part, BlockCodes& codes) {
  if (part < 4) {
    codes.scales[0] = static_cast<int8_t>(packed[part] & 63);
    codes.minima[0] = packed[part + 4] & 63;
  } else {
    codes.scales[0] = static_cast<int8_t>((packed[part + 4] & 0x0f) | ((packed[part - 4] >> 6) << 4));
    codes.minima[0] = static_cast<uint8_t>((packed[part + 4] >> 4) | ((packed[part] >> 6) << 4));
  }
}

// Six bits each of sixteen scales, less 32, in twelve bytes (Q3_K).
inline int8_t scale_of_16(const uint8_t* packed, int64_t i) {
  const int low = i < 8 ? packed[i] & 0x0f : packed[i - 8] >> 4;
  const int high = (packed[8 + i % 4] >> (2 * (i / 4))) & 3;
  return static_cast<int8_t>((low | (high << 4)) - 32);
}

inline BlockCodes q2_k(const uint8_t* block, int64_t part) {
  BlockCodes codes;
  bits_of_bytes(block + 16 + part / 4 * 32, 2 * (part % 4), 2, 0, codes);
  for (int h = 0; h < 2; ++h) {
    codes.scales[h] = static_cast<int8_t>(block[2 * part + h] & 0x0f);
    codes.minima[h] = block[2 * part + h] >> 4;
  }
  codes.d = half_at(block + 80);
  codes.minimum = half_at(block + 82);
  return codes;
}

inline BlockCodes q3_k(const uint8_t* block, int64_t part) {
  BlockCodes codes;
  bits_of_bytes(block + 32 + part / 4 * 32, 2 * (part % 4), 2, 0, codes);
  bits_of_bytes(block, part, 1, 2, codes);
  for (int h = 0; h < 2; ++h) codes.scales[h] = scale_of_16(block + 96, 2 * part + h);
  codes.d = half_at(block + 108);
  return codes;
}

inline BlockCodes q4_k_or_q5_k(const uint8_t* block, int64_t part, bool fifth) {
  BlockCodes codes;
  codes.d = half_at(block);
  codes.minimum = half_at(block + 2);
  scale_and_minimum(block + 4, part, codes);
  bits_of_bytes(block + (fifth ? 48 : 16) + part / 2 * 32, 4 * (part % 2), 4, 0, codes);
  if (fifth) bits_of_bytes(block + 16, part, 1, 4, codes);
  return codes;
}

inline BlockCodes q6_k(const uint8_t* block, int64_t part) {
  BlockCodes codes;
  const int64_t half = part / 4;
  bits_of_bytes(block + half * 64 + part % 2 * 32, part % 4 / 2 * 4, 4, 0, codes);
  bits_of_bytes(block + 128 + half * 32, 2 * (part % 4), 2, 4, codes);
  for (int h = 0; h < 2; ++h) codes.scales[h] = static_cast<int8_t>(block[192 + 2 * part + h]);
  codes.d = half_at(block + 208);
  return codes;
}

// Of the `part`-th 32 columns of the block (or super-block) at `block`.
template <DType type>
BlockCodes codes_of_block(const uint8_t* block, int64_t part) {
  if constexpr (type == DType::q2_k) return q2_k(block, part);
  if constexpr (type == DType::q3_k) return q3_k(block, part);
  if constexpr (type == DType::q4_k) return q4_k_or_q5_k(block, part, false);
  if constexpr (type == DType::q5_k) return q4_k_or_q5_k(block, part, true);
  if constexpr (type == DType::q6_k) return q6_k(block, part);
  BlockCodes codes;
  codes.d = half_at(block);
  if constexpr (type == DType::q4_0 || type == DType::iq4_nl) low_and_high(block + 2, codes);
  if constexpr (type == DType::q4_1) {
    codes.minimum = negated(half_at(block + 2));
    low_and_high(block + 4, codes);
  }
  if constexpr (type == DType::q5_0) {
    low_and_high(block + 6, codes);
    fifth_bits(block + 2, codes);
  }
  if constexpr (type == DType::q5_1) {
    codes.minimum = negated(half_at(block + 2));
    low_and_high(block + 8, codes);
    fifth_bits(block + 4, codes);
  }
  if constexpr (type == DType::q8_0)
    for (int j = 0; j < 8; ++j) codes.words[j] = word_at(block + 2 + 4 * j) ^ (0x80 * every_byte);
  return codes;
}

}  // namespace qkv::kernels::cpu_set
