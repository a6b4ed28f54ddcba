// Weights into the layout of packed_layout.h.
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/dispatch.h"
#include "qkv/kernels/cpu/pack_codes.h"
#include "qkv/kernels/cpu/packed.h"
#include "qkv/kernels/cpu/packed_layout.h"
#include "qkv/kernels/cpu/panels.h"
#include "qkv/kernels/cpu/read_ahead.h"

#include <cmath>
#include <cstring>

namespace qkv::kernels::cpu_set {
namespace {

// Words of codes of the same block of a group's rows, as BlockCodes::words has them. Rows that are not there are zero.
using RowWords = uint32_t[group_rows][8];
using GroupWords = uint32_t[8][group_rows];

// out[word][row] of in[row][word], four by four, in vectors that every processor has.
void transpose(const RowWords& in, uint32_t (*out)[group_rows]) {
  using Four = uint32_t __attribute__((vector_size(16)));
  for (int64_t r = 0; r < group_rows; r += 4)
    for (int64_t w = 0; w < 8; w += 4) {
      Four row[4];
      for (int i = 0; i < 4; ++i) std::memcpy(&row[i], in[r + i] + w, sizeof(Four));
      const Four low01 = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
      const Four low23 = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
      const Four high01 = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
      const Four high23 = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
      const Four words[4] = {
          __builtin_shufflevector(low01, low23, 0, 1, 4, 5), __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
          __builtin_shufflevector(high01, high23, 0, 1, 4, 5), __builtin_shufflevector(high01, high23, 2, 3, 6, 7)};
      for (int i = 0; i < 4; ++i) std::memcpy(out[w + i] + r, &words[i], sizeof(Four));
    }
}

// One plane of `bits` bits of each code, from bit `from` on: quad j goes to the vector and the bits that
// packed_layout.h says. Runs along the rows, so that compilers make vectors of it.
template <int from, int bits>
void put_plane(const GroupWords& words, uint8_t* plane) {
  constexpr uint32_t mask = ((1U << bits) - 1) * 0x01010101U;
  constexpr int quads = 8 / bits;  // that share a vector
  for (int vector = 0; vector < bits; ++vector) {
    uint32_t out[group_rows] = {};
    for (int i = 0; i < quads; ++i) {
      const uint32_t* quad = words[vector * quads + i];
      for (int r = 0; r < group_rows; ++r) out[r] |= ((quad[r] >> from) & mask) << (bits * i);
    }
    std::memcpy(plane + 64 * vector, out, sizeof out);
  }
}

template <DType type, const PackedLayout& layout>
void pack_blocks(const Pack& a, int64_t row, int64_t rows, uint8_t* group) {
  const int64_t blocks = a.k / block_columns;
  const int64_t bytes = block_bytes(type);
  const int64_t row_bytes = blocks / layout.blocks * bytes;
  const uint8_t* from = static_cast<const uint8_t*>(a.rows) + row * row_bytes;
  const int64_t end = layout.end(a.k);
  std::memset(group + end, 0, static_cast<size_t>(layout.group_bytes(a.k) - end));
  RowWords by_row = {};
  const int64_t step = group_rows * row_bytes / blocks;
  for (int64_t b = 0; b < blocks; ++b) {
    // The rows behind these, at the pace at which these are read: sixteen at once are too many for the processor to
    // guess.
    for (int64_t line = b * step; line < (b + 1) * step; line += 64) ask_for(from + group_rows * row_bytes + line);
    uint8_t* scales = group + layout.scales_of(b / layout.blocks);
    uint8_t* own = group + layout.own_scales_of(b);
    if (b % layout.blocks == 0) std::memset(scales, 0, static_cast<size_t>(layout.scale_bytes()));
    for (int64_t r = 0; r < rows; ++r) {
      const uint8_t* block = from + r * row_bytes + b / layout.blocks * bytes;
      const BlockCodes codes = codes_of_block<type>(block, b % layout.blocks);
      std::memcpy(by_row[r], codes.words, sizeof codes.words);
      uint8_t* at = scales + 2 * r;
      std::memcpy(at, &codes.d, sizeof codes.d);
      if (layout.minimum) std::memcpy(at + 32, &codes.minimum, sizeof codes.minimum);
      if (!layout.own_scales) continue;
      for (int h = 0; h < layout.scales; ++h) {
        own[16 * h + r] = static_cast<uint8_t>(codes.scales[h]);
        if (layout.minimum) own[16 * (layout.scales + h) + r] = codes.minima[h];
      }
    }
    uint8_t* planes = group + layout.codes(b);
    if constexpr (layout.low_bits == 8) {  // which is the words themselves
      transpose(by_row, reinterpret_cast<uint32_t(*)[group_rows]>(planes));
      continue;
    }
    GroupWords words;
    transpose(by_row, words);
    put_plane<0, layout.low_bits>(words, planes);
    if constexpr (layout.high_bits != 0)
      put_plane<layout.low_bits, layout.high_bits>(words, planes + layout.low_bytes());
  }
}

template <typename T>
void pack_integers(const Pack& a, int64_t padded, int64_t row, uint8_t* group) {
  const int64_t r = row % group_rows;
  const T* w = static_cast<const T*>(a.rows) + row * a.k;
  float most = 0;
  for (int64_t i = 0; i < a.k; ++i) most = std::max(most, std::abs(static_cast<float>(w[i])));
  const float scale = most / 127;
  const float inverse = most > 0 ? 127 / most : 0;
  for (int64_t i = 0; i < padded; ++i) {
    const float value = i < a.k ? static_cast<float>(w[i]) : 0.0F;
    const int64_t place = i / 4 * 64 + 4 * r + i % 4;
    group[place] = static_cast<uint8_t>(128 + static_cast<int>(std::nearbyint(value * inverse)));
  }
  std::memcpy(group + i8_layout.end(padded) + sizeof(float) * static_cast<size_t>(r), &scale, sizeof scale);
}

}  // namespace

int64_t packed_bytes(DType type, int64_t n, int64_t k, bool plain) {
  if (in_panels(type)) return panels_bytes(type, n, k, plain);
  const int64_t groups = (n + group_rows - 1) / group_rows * layout_of(type).group_bytes(packed_columns(k));
  return groups + (type == DType::i8 ? outlier_bytes : 0);
}

namespace {

// Calls body(first row, rows, group) for each group, on all threads.
template <typename Body>
void each_group(const Pack& a, int64_t bytes, const Body& body) {
  parallel_for((a.n + group_rows - 1) / group_rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      const int64_t first = g * group_rows;
      body(first, std::min(a.n - first, group_rows), static_cast<uint8_t*>(a.packed) + g * bytes);
    }
  });
}

void pack_rows_of_integers(const Pack& a) {
  const int64_t padded = packed_columns(a.k);
  const int64_t bytes = i8_layout.group_bytes(padded);
  *outlier_bound(a.packed, a.n, a.k) = a.outlier;
  each_group(a, bytes, [&](int64_t first, int64_t rows, uint8_t* group) {
    std::memset(group, 0, static_cast<size_t>(bytes));
    for (int64_t row = first; row < first + rows; ++row) {
      if (a.rows_type == DType::bf16) {
        pack_integers<bf16>(a, padded, row, group);
      } else {
        pack_integers<float>(a, padded, row, group);
      }
    }
  });
}

}  // namespace

void pack_group(const Pack& a, int64_t row, int64_t rows, uint8_t* group) {
  with_layout(a.type, [&](auto tag) {
    constexpr DType type = decltype(tag)::type;
    if constexpr (type != DType::i8) pack_blocks<type, decltype(tag)::layout>(a, row, rows, group);
  });
}

bool pack(const Pack& a) {
  if (in_panels(a.type)) return pack_panels(a);
  if (a.type == DType::i8) {
    pack_rows_of_integers(a);
  } else {
    each_group(a, layout_of(a.type).group_bytes(a.k),
               [&](int64_t first, int64_t rows, uint8_t* group) { pack_group(a, first, rows, group); });
  }
  return true;
}

}  // namespace qkv::kernels::cpu_set
