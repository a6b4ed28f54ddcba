// Weights into the layout of packed_layout.h.
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/dispatch.h"
#include "qkv/kernels/cpu/pack_codes.h"
#include "qkv/kernels/cpu/packed_layout.h"
#include "qkv/kernels/cpu/panels.h"

#include <cmath>
#include <cstring>

namespace qkv::kernels::cpu_set {
namespace {

// Puts the codes of row r of a group into the planes of one block.
void put_codes(const PackedLayout& layout, const BlockCodes& codes, int64_t r, uint8_t* planes) {
  const auto add = [&](uint8_t* plane, int vector, uint32_t bits) {
    uint8_t* place = plane + 64 * vector + 4 * r;
    uint32_t word;
    std::memcpy(&word, place, sizeof word);
    word |= bits;
    std::memcpy(place, &word, sizeof word);
  };
  const uint32_t low_mask = ((1U << layout.low_bits) - 1) * 0x01010101U;
  for (int j = 0; j < 8; ++j) {
    const uint32_t low = codes.words[j] & low_mask;
    if (layout.low_bits == 8) add(planes, j, low);
    if (layout.low_bits == 4) add(planes, j % 4, low << (j < 4 ? 0 : 4));
    if (layout.low_bits == 2) add(planes, j / 4, low << (2 * (j % 4)));
    if (layout.high_bits == 0) continue;
    const uint32_t high = (codes.words[j] >> layout.low_bits) & (((1U << layout.high_bits) - 1) * 0x01010101U);
    const int a_vector = 8 / layout.high_bits;
    add(planes + layout.low_bytes(), j / a_vector, high << (layout.high_bits * (j % a_vector)));
  }
}

void pack_blocks(const Pack& a, const PackedLayout& layout, int64_t row, uint8_t* group) {
  const int64_t r = row % group_rows;
  const int64_t blocks = a.k / block_columns;
  const int64_t bytes = block_bytes(a.type);
  const uint8_t* from = static_cast<const uint8_t*>(a.rows) + row * (blocks / layout.blocks) * bytes;
  uint8_t* header = group + layout.code_bytes(a.k);
  uint8_t* own = header + blocks / layout.blocks * layout.header_bytes();
  for (int64_t b = 0; b < blocks; ++b) {
    const BlockCodes codes = codes_of_block(a.type, from + b / layout.blocks * bytes, b % layout.blocks);
    put_codes(layout, codes, r, group + b * layout.plane_bytes());
    uint8_t* at = header + b / layout.blocks * layout.header_bytes() + 2 * r;
    std::memcpy(at, &codes.d, sizeof codes.d);
    if (layout.minimum) std::memcpy(at + 32, &codes.minimum, sizeof codes.minimum);
    if (!layout.own_scales) continue;
    for (int h = 0; h < layout.scales; ++h) {
      own[b * layout.own_bytes() + 16 * h + r] = static_cast<uint8_t>(codes.scales[h]);
      if (layout.minimum) own[b * layout.own_bytes() + 16 * (layout.scales + h) + r] = codes.minima[h];
    }
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
  std::memcpy(group + i8_layout.code_bytes(padded) + sizeof(float) * static_cast<size_t>(r), &scale, sizeof scale);
}

}  // namespace

int64_t packed_bytes(DType type, int64_t n, int64_t k) {
  if (in_panels(type)) return panels_bytes(type, n, k);
  const int64_t groups = (n + group_rows - 1) / group_rows * layout_of(type).group_bytes(packed_columns(k));
  return groups + (type == DType::i8 ? outlier_bytes : 0);
}

void pack(const Pack& a) {
  if (in_panels(a.type)) return pack_panels(a);
  const PackedLayout layout = layout_of(a.type);
  const int64_t padded = packed_columns(a.k);
  const int64_t bytes = layout.group_bytes(padded);
  if (a.type == DType::i8) *outlier_bound(a.packed, a.n, a.k) = a.outlier;
  parallel_for((a.n + group_rows - 1) / group_rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      uint8_t* group = static_cast<uint8_t*>(a.packed) + g * bytes;
      std::memset(group, 0, static_cast<size_t>(bytes));
      for (int64_t row = g * group_rows; row < std::min(a.n, (g + 1) * group_rows); ++row) {
        if (layout.scales != 0) {
          pack_blocks(a, layout, row, group);
        } else if (a.rows_type == DType::bf16) {
          pack_integers<bf16>(a, padded, row, group);
        } else {
          pack_integers<float>(a, padded, row, group);
        }
      }
    }
  });
}

}  // namespace qkv::kernels::cpu_set
