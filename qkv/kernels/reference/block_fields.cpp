#include "qkv/kernels/reference/block_fields.h"

#include <algorithm>

namespace qkv::kernels {
namespace {

// Numbers of 4 bits in 16 bytes: number i, then number i + 16 above it.
uint8_t nibble(const uint8_t* codes, int i) { return static_cast<uint8_t>(codes[i % 16] >> (i / 16 * 4) & 15); }
void set_nibble(uint8_t* codes, int i, int value) { codes[i % 16] |= static_cast<uint8_t>(value << (i / 16 * 4)); }

// A single bit for each of 32 numbers.
int bit(const uint8_t* bits, int i) { return bits[i / 8] >> (i % 8) & 1; }
void set_bit(uint8_t* bits, int i, int value) { bits[i / 8] |= static_cast<uint8_t>(value << (i % 8)); }

// Two bits for each of 256 numbers: 128 in 32 bytes, number i with i + 32, i + 64 and i + 96 above it.
int pair(const uint8_t* bits, int i) { return bits[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3; }
void set_pair(uint8_t* bits, int i, int value) {
  bits[i / 128 * 32 + i % 32] |= static_cast<uint8_t>(value << (i % 128 / 32 * 2));
}

// One bit for each of 256 numbers: bit j of byte i for number 32 j + i.
int high_bit(const uint8_t* bits, int i) { return bits[i % 32] >> (i / 32) & 1; }
void set_high_bit(uint8_t* bits, int i, int value) { bits[i % 32] |= static_cast<uint8_t>(value << (i / 32)); }

// Four bits for each of 256 numbers, `span` of them below the next `span`.
int nibble_of(const uint8_t* codes, int i, int span) {
  return codes[i / (2 * span) * span + i % span] >> (i / span % 2 * 4) & 15;
}
void set_nibble_of(uint8_t* codes, int i, int span, int value) {
  codes[i / (2 * span) * span + i % span] |= static_cast<uint8_t>(value << (i / span % 2 * 4));
}

// Eight scales and eight lows of 6 bits in 12 bytes. The first four of each stand in the lower bits of bytes 0..3 and
// 4..7; the last four have their lower nibbles in bytes 8..11, and their upper two bits on top of bytes 0..7.
void unpack_scales(const uint8_t* bytes, BlockFields& f) {
  for (int g = 0; g < 4; ++g) {
    f.scale[g] = static_cast<int8_t>(bytes[g] & 63);
    f.low[g] = static_cast<int8_t>(bytes[g + 4] & 63);
    f.scale[g + 4] = static_cast<int8_t>((bytes[g + 8] & 15) | (bytes[g] >> 6 << 4));
    f.low[g + 4] = static_cast<int8_t>((bytes[g + 8] >> 4) | (bytes[g + 4] >> 6 << 4));
  }
}
void pack_scales(const BlockFields& f, uint8_t* bytes) {
  for (int g = 0; g < 4; ++g) {
    bytes[g] = static_cast<uint8_t>(f.scale[g] | (f.scale[g + 4] >> 4 << 6));
    bytes[g + 4] = static_cast<uint8_t>(f.low[g] | (f.low[g + 4] >> 4 << 6));
    bytes[g + 8] = static_cast<uint8_t>((f.scale[g + 4] & 15) | ((f.low[g + 4] & 15) << 4));
  }
}

template <typename Block>
Block blank(const BlockFields& f) {
  Block b{};
  b.d = f16(f.d);
  if constexpr (requires { b.m; }) b.m = f16(f.m);
  return b;
}

// In the formats of 32 numbers m is added, so that m low = -m.
template <typename Block>
constexpr bool adds_m = std::is_same_v<Block, BlockQ4_1> || std::is_same_v<Block, BlockQ5_1>;

template <typename Block>
void unpack_small(const void* block, BlockFields& f) {
  const Block& b = *static_cast<const Block*>(block);
  f.d = static_cast<float>(b.d);
  f.scale[0] = 1;
  if constexpr (adds_m<Block>) {
    f.m = -static_cast<float>(b.m);
    f.low[0] = 1;
  }
  for (int i = 0; i < 32; ++i) {
    if constexpr (std::is_same_v<Block, BlockQ8_0>) {
      f.code[i] = b.codes[i];
    } else if constexpr (std::is_same_v<Block, BlockIq4Nl>) {
      f.code[i] = iq4_nl_codes[nibble(b.codes, i)];
    } else if constexpr (requires { b.high; }) {
      f.code[i] = static_cast<int8_t>(nibble(b.codes, i) + 16 * bit(b.high, i) - (adds_m<Block> ? 0 : 16));
    } else {
      f.code[i] = static_cast<int8_t>(nibble(b.codes, i) - (adds_m<Block> ? 0 : 8));
    }
  }
}

template <typename Block>
void pack_small(const BlockFields& f, void* block) {
  Block b = blank<Block>(f);
  if constexpr (adds_m<Block>) b.m = f16(-f.m);
  for (int i = 0; i < 32; ++i) {
    if constexpr (std::is_same_v<Block, BlockQ8_0>) {
      b.codes[i] = f.code[i];
    } else if constexpr (std::is_same_v<Block, BlockIq4Nl>) {
      const auto place = std::find(iq4_nl_codes.begin(), iq4_nl_codes.end(), f.code[i]);
      set_nibble(b.codes, i, static_cast<int>(place - iq4_nl_codes.begin()));
    } else if constexpr (requires { b.high; }) {
      const int code = f.code[i] + (adds_m<Block> ? 0 : 16);
      set_nibble(b.codes, i, code & 15);
      set_bit(b.high, i, code >> 4);
    } else {
      set_nibble(b.codes, i, f.code[i] + (adds_m<Block> ? 0 : 8));
    }
  }
  *static_cast<Block*>(block) = b;
}

void unpack_q2_k(const void* block, BlockFields& f) {
  const auto& b = *static_cast<const BlockQ2K*>(block);
  f.d = static_cast<float>(b.d);
  f.m = static_cast<float>(b.m);
  for (int g = 0; g < 16; ++g) {
    f.scale[g] = static_cast<int8_t>(b.scales[g] & 15);
    f.low[g] = static_cast<int8_t>(b.scales[g] >> 4);
  }
  for (int i = 0; i < 256; ++i) f.code[i] = static_cast<int8_t>(pair(b.codes, i));
}
void pack_q2_k(const BlockFields& f, void* block) {
  auto b = blank<BlockQ2K>(f);
  for (int g = 0; g < 16; ++g) b.scales[g] = static_cast<uint8_t>(f.scale[g] | (f.low[g] << 4));
  for (int i = 0; i < 256; ++i) set_pair(b.codes, i, f.code[i]);
  *static_cast<BlockQ2K*>(block) = b;
}

void unpack_q3_k(const void* block, BlockFields& f) {
  const auto& b = *static_cast<const BlockQ3K*>(block);
  f.d = static_cast<float>(b.d);
  for (int g = 0; g < 16; ++g) {
    const int upper = b.scales[8 + g % 4] >> (g / 4 * 2) & 3;
    f.scale[g] = static_cast<int8_t>((b.scales[g % 8] >> (g / 8 * 4) & 15) + 16 * upper - 32);
  }
  for (int i = 0; i < 256; ++i) f.code[i] = static_cast<int8_t>(pair(b.codes, i) + 4 * high_bit(b.high, i) - 4);
}
void pack_q3_k(const BlockFields& f, void* block) {
  auto b = blank<BlockQ3K>(f);
  for (int g = 0; g < 16; ++g) {
    const int scale = f.scale[g] + 32;
    b.scales[g % 8] |= static_cast<uint8_t>((scale & 15) << (g / 8 * 4));
    b.scales[8 + g % 4] |= static_cast<uint8_t>(scale >> 4 << (g / 4 * 2));
  }
  for (int i = 0; i < 256; ++i) {
    const int code = f.code[i] + 4;
    set_pair(b.codes, i, code & 3);
    set_high_bit(b.high, i, code >> 2);
  }
  *static_cast<BlockQ3K*>(block) = b;
}

template <typename Block>
void unpack_q45_k(const void* block, BlockFields& f) {
  const auto& b = *static_cast<const Block*>(block);
  f.d = static_cast<float>(b.d);
  f.m = static_cast<float>(b.m);
  unpack_scales(b.scales, f);
  for (int i = 0; i < 256; ++i) {
    f.code[i] = static_cast<int8_t>(nibble_of(b.codes, i, 32));
    if constexpr (requires { b.high; }) f.code[i] = static_cast<int8_t>(f.code[i] + 16 * high_bit(b.high, i));
  }
}
template <typename Block>
void pack_q45_k(const BlockFields& f, void* block) {
  auto b = blank<Block>(f);
  pack_scales(f, b.scales);
  for (int i = 0; i < 256; ++i) {
    set_nibble_of(b.codes, i, 32, f.code[i] & 15);
    if constexpr (requires { b.high; }) set_high_bit(b.high, i, f.code[i] >> 4);
  }
  *static_cast<Block*>(block) = b;
}

void unpack_q6_k(const void* block, BlockFields& f) {
  const auto& b = *static_cast<const BlockQ6K*>(block);
  f.d = static_cast<float>(b.d);
  std::copy_n(b.scales, 16, f.scale);
  for (int i = 0; i < 256; ++i) f.code[i] = static_cast<int8_t>(nibble_of(b.codes, i, 64) + 16 * pair(b.high, i) - 32);
}
void pack_q6_k(const BlockFields& f, void* block) {
  auto b = blank<BlockQ6K>(f);
  std::copy_n(f.scale, 16, b.scales);
  for (int i = 0; i < 256; ++i) {
    const int code = f.code[i] + 32;
    set_nibble_of(b.codes, i, 64, code & 15);
    set_pair(b.high, i, code >> 4);
  }
  *static_cast<BlockQ6K*>(block) = b;
}

constexpr BlockFormat formats[] = {
    {DType::q4_0, 32, -8, 7, 1, 1, false, unpack_small<BlockQ4_0>, pack_small<BlockQ4_0>},
    {DType::q4_1, 32, 0, 15, 1, 1, true, unpack_small<BlockQ4_1>, pack_small<BlockQ4_1>},
    {DType::q5_0, 32, -16, 15, 1, 1, false, unpack_small<BlockQ5_0>, pack_small<BlockQ5_0>},
    {DType::q5_1, 32, 0, 31, 1, 1, true, unpack_small<BlockQ5_1>, pack_small<BlockQ5_1>},
    {DType::q8_0, 32, -127, 127, 1, 1, false, unpack_small<BlockQ8_0>, pack_small<BlockQ8_0>},
    {DType::q2_k, 16, 0, 3, 0, 15, true, unpack_q2_k, pack_q2_k},
    {DType::q3_k, 16, -4, 3, -32, 31, false, unpack_q3_k, pack_q3_k},
    {DType::q4_k, 32, 0, 15, 0, 63, true, unpack_q45_k<BlockQ4K>, pack_q45_k<BlockQ4K>},
    {DType::q5_k, 32, 0, 31, 0, 63, true, unpack_q45_k<BlockQ5K>, pack_q45_k<BlockQ5K>},
    {DType::q6_k, 16, -32, 31, -128, 127, false, unpack_q6_k, pack_q6_k},
    {DType::iq4_nl, 32, -127, 113, 1, 1, false, unpack_small<BlockIq4Nl>, pack_small<BlockIq4Nl>},
};

}  // namespace

const BlockFormat& block_format(DType type) {
  return formats[static_cast<size_t>(type) - static_cast<size_t>(DType::q4_0)];
}

}  // namespace qkv::kernels
