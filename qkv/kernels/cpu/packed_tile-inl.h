// Products of a few quantised rows of x with a group of sixteen rows of a packed weight (packed_layout.h). Included
// once for each instruction set.
#if defined(QKV_KERNELS_CPU_PACKED_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_CPU_PACKED_TILE_INL_H_
#undef QKV_KERNELS_CPU_PACKED_TILE_INL_H_
#else
#define QKV_KERNELS_CPU_PACKED_TILE_INL_H_
#endif

#include "hwy/highway.h"
#include "qkv/kernels/cpu/packed.h"
#include "qkv/kernels/cpu/packed_codes-inl.h"
#include "qkv/kernels/cpu/packed_layout.h"
#include "qkv/kernels/cpu/read_ahead.h"
#include "qkv/kernels/cpu/vector-inl.h"

#include <type_traits>
#include <utility>

HWY_BEFORE_NAMESPACE();
#if defined(QKV_VNNI)
HWY_PUSH_ATTRIBUTES("avx512vnni")
#endif
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {
namespace {

// So few rows wait for memory: groups behind theirs are asked for in time, at the pace at which theirs is read.
constexpr int few_rows = 8;

// How far ahead; 0: not at all. Vectors of 512 bits go through one row's whole bytes and nibbles like through a stream,
// and asking for nibbles only slows them down.
constexpr int64_t ahead_of(const PackedLayout& layout, int rows) {
  if (rows > few_rows) return 0;
  if (rows > 1 || HWY_TARGET != HWY_AVX3) return read_ahead;
  if (layout.low_bits == 8) return read_ahead_of_stream;
  return layout.low_bits == 4 && layout.high_bits == 0 ? 0 : read_ahead;
}

template <const PackedLayout& layout, int rows>
HWY_INLINE void ask_for_block(const uint8_t* group, int64_t block) {
  constexpr int64_t step = layout.super_bytes() / layout.blocks;  // a block's codes, and its share of the scales
  constexpr int lines = static_cast<int>(step + 63) / 64;
  constexpr int64_t ahead = ahead_of(layout, rows);
  if constexpr (ahead > 0)
    for (int line = 0; line < lines; ++line) ask_for(group + block * step + ahead + 64 * line);
}

// Of results of `rows` rows of x with the rows of a group that `vectors` vectors hold, the first of which is row
// `lane`: where result i, of row i / vectors and vector i % vectors, stands in out[rows][group_rows].
HWY_INLINE float* place_of(int i, int64_t lane, float* out) {
  return out + i / vectors * group_rows + lane + i % vectors * lanes();
}

// Where a row of the weight has one scale.
template <const PackedLayout& layout, int rows>
HWY_INLINE void tile_of_integers(const uint8_t* group, int64_t k, const QuantisedRows& x, int64_t row, int64_t lane,
                                 float* out) {
  constexpr int results = rows * vectors;
  VI sums[results];
  for (int i = 0; i < results; ++i)
    sums[i] = offset_of(layout) == 0 ? hn::Zero(I()) : hn::Set(I(), x.starts[row + i / vectors]);
  for (int64_t b = 0; b < k / block_columns; ++b) {
    ask_for_block<layout, rows>(group, b);
    add_quads<layout, rows, 0>(sums, group + 4 * lane + layout.codes(b), x.values + row * k + b * block_columns, k,
                               std::make_integer_sequence<int, 8>());
  }
  const float* scales = reinterpret_cast<const float*>(group + layout.end(k)) + lane;
  for (int i = 0; i < results; ++i)
    store(
        hn::Mul(in_floats(sums[i]), hn::Mul(load(scales + i % vectors * lanes()), splat(x.scales[row + i / vectors]))),
        place_of(i, lane, out));
}

// Where each block has a scale.
template <const PackedLayout& layout, int rows>
HWY_INLINE void tile_of_blocks(const uint8_t* group, int64_t k, const QuantisedRows& x, int64_t row, int64_t lane,
                               float* out) {
  constexpr int results = rows * vectors;
  const int64_t count = k / block_columns;
  const int8_t* q = x.values + row * k;
  V totals[results];
  for (V& total : totals) total = hn::Zero(F());
  for (int64_t b = 0; b < count; ++b) {
    ask_for_block<layout, rows>(group, b);
    V scale[vectors], minimum[vectors];
    for (int v = 0; v < vectors; ++v) {
      const uint8_t* at = group + layout.scales_of(b) + 2 * (lane + v * lanes());
      minimum[v] = scale[v] = load_f16(at);
      if constexpr (layout.minimum) minimum[v] = load_f16(at + 2 * group_rows);
    }
    const int64_t of_x = b * x.rows + row;
    VI sums[results];
    for (int i = 0; i < results; ++i)
      sums[i] = offset_of(layout) == 0 ? hn::Zero(I()) : hn::Set(I(), x.starts[of_x + i / vectors]);
    add_quads<layout, rows, 0>(sums, group + 4 * lane + layout.codes(b), q + b * block_columns, k,
                               std::make_integer_sequence<int, 8>());
    for (int i = 0; i < results; ++i) {
      const V weight = hn::Mul(scale[i % vectors], splat(x.scales[of_x + i / vectors]));
      totals[i] = hn::MulAdd(in_floats(sums[i]), weight, totals[i]);
      if constexpr (layout.minimum)
        totals[i] = hn::NegMulAdd(minimum[i % vectors], splat(x.sums[of_x + i / vectors]), totals[i]);
    }
  }
  for (int i = 0; i < results; ++i) store(totals[i], place_of(i, lane, out));
}

// A super-block's scales, of the rows of a group from one lane on.
template <const PackedLayout& layout>
struct SuperBlock {
  const uint8_t* header;
  const uint8_t* own;

  SuperBlock(const uint8_t* group, int64_t super, int64_t lane)
      : header(group + layout.scales_of(super) + 2 * lane),
        own(group + layout.own_scales_of(super * layout.blocks) + lane) {}
  V scale(int v) const { return load_f16(header + 2 * v * lanes()); }
  // What a part takes away is `low` times the sum of its x times this.
  V less(int v) const {
    if constexpr (layout.minimum) return hn::Neg(load_f16(header + 2 * (group_rows + v * lanes())));
    return hn::Mul(scale(v), splat(-layout.offset));
  }
  VI scale_of(int64_t part, int v) const { return load_i8(place_of_part(part) + v * lanes()); }
  // A part's minimum, or its scale, which the codes' offset is multiplied by.
  VI low(int64_t part, int v) const {
    return load_i8(place_of_part(part) + (layout.minimum ? layout.scales * group_rows : 0) + v * lanes());
  }

 private:
  const uint8_t* place_of_part(int64_t part) const {
    return own + part / layout.scales * layout.own_bytes() + part % layout.scales * group_rows;
  }
};

// sums[i] = sum over the parts of a super-block of low * sum of x.
template <const PackedLayout& layout, int results, int... pair>
HWY_INLINE void sum_lows(VI (&sums)[results], const SuperBlock<layout>& scales, const int16_t* part_sums, int64_t rows,
                         std::integer_sequence<int, pair...>) {
  for (VI& sum : sums) sum = hn::Zero(I());
  const auto one = [&](auto which) HWY_ATTR {
    constexpr int part = 2 * decltype(which)::value;
    VI pairs[vectors];
    for (int v = 0; v < vectors; ++v) pairs[v] = pair_of(scales.low(part, v), scales.low(part + 1, v));
    for (int i = 0; i < results; ++i)
      sums[i] = dot_pairs(sums[i], pairs[i % vectors], part_sums + part * rows + 2 * (i / vectors));
  };
  (one(std::integral_constant<int, pair>()), ...);
}

// Where parts of a super-block have integer scales.
template <const PackedLayout& layout, int rows>
HWY_INLINE void tile_of_super_blocks(const uint8_t* group, int64_t k, const QuantisedRows& x, int64_t row, int64_t lane,
                                     float* out) {
  static_assert(layout.minimum == (layout.offset == 0));
  constexpr int results = rows * vectors;
  constexpr int parts = layout.blocks * layout.scales;
  constexpr bool in_integers = std::is_same_v<Weighed, VI>;
  const int64_t supers = k / (block_columns * layout.blocks);
  for (int i = 0; i < results; ++i) store(hn::Zero(F()), place_of(i, lane, out));
  for (int64_t super = 0; super < supers; ++super) {
    const SuperBlock<layout> scales(group, super, lane);
    V scale[vectors], less[vectors];
    for (int v = 0; v < vectors; ++v) {
      scale[v] = scales.scale(v);
      less[v] = scales.less(v);
    }
    VI low[results];
    sum_lows<layout>(low, scales, x.part_sums + super * parts * x.rows + 2 * row, x.rows,
                     std::make_integer_sequence<int, parts / 2>());
    Weighed total[results];
    for (int i = 0; i < results; ++i) {
      if constexpr (!in_integers) {
        total[i] = hn::Mul(in_floats(low[i]), less[i % vectors]);
      } else {
        total[i] = layout.minimum ? hn::Zero(I()) : hn::Mul(low[i], hn::Set(I(), -layout.offset));
      }
    }
    for (int64_t b = super * layout.blocks; b < (super + 1) * layout.blocks; ++b) {
      ask_for_block<layout, rows>(group, b);
      const auto part = [&](auto which) HWY_ATTR {
        constexpr int h = decltype(which)::value;
        constexpr int quads = 8 / layout.scales;
        Weighed weight[vectors];
        for (int v = 0; v < vectors; ++v) {
          const VI own = scales.scale_of((b - super * layout.blocks) * layout.scales + h, v);
          weight[v] = weight_of(own, scale[v]);
        }
        add_weighed<layout, rows, h * quads>(total, group + 4 * lane + layout.codes(b),
                                             x.values + row * k + b * block_columns, k, weight,
                                             std::make_integer_sequence<int, quads>());
      };
      part(std::integral_constant<int, 0>());
      if constexpr (layout.scales == 2) part(std::integral_constant<int, 1>());
    }
    for (int i = 0; i < results; ++i) {
      V sum = in_floats(total[i]);
      if constexpr (in_integers) {
        sum = hn::Mul(sum, scale[i % vectors]);
        if constexpr (layout.minimum) sum = hn::MulAdd(in_floats(low[i]), less[i % vectors], sum);
      }
      float* at = place_of(i, lane, out);
      store(hn::MulAdd(sum, splat(x.scales[super * x.rows + row + i / vectors]), load(at)), at);
    }
  }
}

// The products of `rows` rows of x, from `row` on, with all sixteen rows of a group: out[rows][group_rows].
template <const PackedLayout& layout, int rows>
HWY_NOINLINE void tile(const uint8_t* group, int64_t k, const QuantisedRows& x, int64_t row, float* out) {
  for (int64_t lane = 0; lane < group_rows; lane += vectors * lanes()) {
    if constexpr (layout.scales == 0) {
      tile_of_integers<layout, rows>(group, k, x, row, lane, out);
    } else if constexpr (layout.own_scales) {
      tile_of_super_blocks<layout, rows>(group, k, x, row, lane, out);
    } else {
      tile_of_blocks<layout, rows>(group, k, x, row, lane, out);
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
#if defined(QKV_VNNI)
HWY_POP_ATTRIBUTES
#endif
HWY_AFTER_NAMESPACE();

#endif
