// A panel of bf16 (panels.h) without loss in 12 bits a number. The exponents of a trained matrix take few values: of a
// number's two bytes the lower, the last bit of the exponent and the mantissa, is kept as it is, and the upper, the
// sign and the rest of the exponent, as a code of 4 bits. The few numbers whose upper byte has no code stand behind the
// panel as exceptions. Products of a few rows read it as it is, for they wait for memory and not for arithmetic.
//
// After the head come the panel's words, one after the other: 64 lower bytes, then 32 bytes of codes, the even places'
// in their low halves; then the exceptions, by rising word. The 64 numbers of a word stand in the order that makes
// numbers of bytes by interleaving 16 of them at a time: see place_of().
#pragma once

#include "qkv/kernels/cpu/panels.h"

namespace qkv::kernels::cpu_set {

constexpr int64_t word_numbers = 2 * panel_rows;
constexpr int64_t compact_word_bytes = word_numbers + word_numbers / 2;

struct CompactHead {
  uint8_t upper[16];  // the byte that a code stands for: code + 8 is the same with a sign
  uint32_t exceptions;
  uint8_t padding[44];
};
static_assert(sizeof(CompactHead) == 64);

struct CompactException {
  uint32_t word;
  uint16_t number;  // 2 row + half of the word
  uint16_t bits;
};
static_assert(sizeof(CompactException) == 8);

// One number in 512: several times as many as normally distributed ones make.
constexpr int64_t most_exceptions(int64_t words) { return 8 * ((words + 63) / 64); }

constexpr int64_t exceptions_at(int64_t words) {
  return static_cast<int64_t>(sizeof(CompactHead)) + (words * compact_word_bytes + 63) / 64 * 64;
}
constexpr int64_t compact_panel_bytes(int64_t words) {
  return exceptions_at(words) + most_exceptions(words) * static_cast<int64_t>(sizeof(CompactException));
}

// Where number 2 row + half of a word stands among its bytes: rows 4 b to 4 b + 3 are the first eight of block b of 16
// bytes, rows 16 + 4 b to 16 + 4 b + 3 the others.
constexpr int64_t place_of(int64_t number) { return number % 32 / 8 * 16 + number / 32 * 8 + number % 8; }

// Number 2 row + half of a word: right unless it is among the exceptions.
inline uint16_t compact_number(const CompactHead& head, const uint8_t* word, int64_t number) {
  const int64_t place = place_of(number);
  const int code = word[word_numbers + place / 2] >> (place % 2 * 4) & 15;
  return static_cast<uint16_t>(head.upper[code] << 8 | word[place]);
}

inline const CompactException* exceptions_of(const uint8_t* panel, int64_t words) {
  return reinterpret_cast<const CompactException*>(panel + exceptions_at(words));
}

}  // namespace qkv::kernels::cpu_set
