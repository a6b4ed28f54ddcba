// Rows of packed weights as numbers: what an embedding that shares its table with the output layer looks up.
#include "qkv/kernels/blocks.h"
#include "qkv/kernels/cpu/compact_panel.h"
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/packed_layout.h"
#include "qkv/kernels/cpu/panels.h"
#include "qkv/kernels/cpu/scratch.h"

#include "qkv/core/threads.h"

#include <algorithm>
#include <cstring>

namespace qkv::kernels::cpu_set {
namespace {

template <typename T>
float number_at(const uint8_t* bytes) {
  T number;
  std::memcpy(&number, bytes, sizeof number);
  return static_cast<float>(number);
}

// The code of column c of row r, in a block's plane of `bits` bits of each.
int code_in_plane(const uint8_t* plane, int bits, int64_t r, int64_t c) {
  const int64_t quad = c / 4, quads = 8 / bits;
  const int64_t vector = quad / quads, place = quad % quads;
  return (plane[64 * vector + 4 * r + c % 4] >> (bits * place)) & ((1 << bits) - 1);
}

void unpack_blocks(DType type, const uint8_t* packed, int64_t row, int64_t k, float* out) {
  const PackedLayout layout = layout_of(type);
  const int64_t r = row % group_rows;
  const uint8_t* group = packed + row / group_rows * layout.group_bytes(k);
  const int64_t blocks = k / block_columns;
  for (int64_t b = 0; b < blocks; ++b) {
    const uint8_t* planes = group + layout.codes(b);
    const uint8_t* super_block = group + layout.scales_of(b / layout.blocks);
    const uint8_t* of_block = group + layout.own_scales_of(b);
    const float d = number_at<f16>(super_block + 2 * r);
    const float m = layout.minimum ? number_at<f16>(super_block + 32 + 2 * r) : 0.0F;
    for (int64_t c = 0; c < block_columns; ++c) {
      const int64_t h = c * layout.scales / block_columns;
      const float scale = layout.own_scales ? d * static_cast<int8_t>(of_block[16 * h + r]) : d;
      const float minimum = layout.own_scales && layout.minimum ? m * of_block[16 * (layout.scales + h) + r] : m;
      int code = code_in_plane(planes, layout.low_bits, r, c);
      if (layout.high_bits != 0)
        code |= code_in_plane(planes + layout.low_bytes(), layout.high_bits, r, c) << layout.low_bits;
      const int value = layout.table ? iq4_nl_codes[static_cast<size_t>(code)] : code - layout.offset;
      out[b * block_columns + c] = scale * static_cast<float>(value) - minimum;
    }
  }
}

template <typename T>
void unpack_panel(const uint8_t* panel, int64_t r, int64_t k, float* out) {
  constexpr auto in_word = static_cast<int64_t>(sizeof(uint32_t) / sizeof(T));
  for (int64_t c = 0; c < k; ++c) {
    const int64_t word = c / in_word * panel_rows + r;
    out[c] = number_at<T>(panel + sizeof(T) * static_cast<size_t>(word * in_word + c % in_word));
  }
}

float number_of_bits(uint16_t bits) { return number_at<bf16>(reinterpret_cast<const uint8_t*>(&bits)); }

void unpack_compact_panel(const uint8_t* panel, int64_t r, int64_t k, float* out) {
  const auto* head = reinterpret_cast<const CompactHead*>(panel);
  const int64_t words = words_of(DType::bf16, k);
  for (int64_t c = 0; c < k; ++c) {
    const uint8_t* word = panel + sizeof(CompactHead) + c / 2 * compact_word_bytes;
    out[c] = number_of_bits(compact_number(*head, word, 2 * r + c % 2));
  }
  const CompactException* exceptions = exceptions_of(panel, words);
  for (uint32_t e = 0; e < head->exceptions; ++e) {
    const int64_t c = 2 * exceptions[e].word + exceptions[e].number % 2;
    if (exceptions[e].number / 2 == r && c < k) out[c] = number_of_bits(exceptions[e].bits);
  }
}

void unpack_panels(DType type, const uint8_t* packed, int64_t row, int64_t k, float* out) {
  const Panels panels = panels_in(packed, type, k);
  const uint8_t* panel = panels[row / panel_rows];
  const int64_t r = row % panel_rows;
  if (type == DType::f32) return unpack_panel<float>(panel, r, k, out);
  if (!panels.compact) return unpack_panel<bf16>(panel, r, k, out);
  unpack_compact_panel(panel, r, k, out);
}

}  // namespace

void gather_of_packed(const Gather& a) {
  const auto* packed = static_cast<const uint8_t*>(a.table);
  parallel_for(a.rows, std::max<int64_t>(1, 4096 / std::max<int64_t>(1, a.width)), [&](int64_t begin, int64_t end) {
    struct Row;
    float* row = thread_scratch<Row>(a.width);
    const int32_t only = 0;
    for (int64_t i = begin; i < end; ++i) {
      if (in_panels(a.table_type)) {
        unpack_panels(a.table_type, packed, a.ids[i], a.width, row);
      } else {
        unpack_blocks(a.table_type, packed, a.ids[i], a.width, row);
      }
      reference().gather({.rows = 1,
                          .width = a.width,
                          .ids = &only,
                          .table = row,
                          .out = static_cast<char*>(a.out) + i * a.width * size_of(a.out_type),
                          .out_type = a.out_type,
                          .accumulate = a.accumulate});
    }
  });
}

}  // namespace qkv::kernels::cpu_set
