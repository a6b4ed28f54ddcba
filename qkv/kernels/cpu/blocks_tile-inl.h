// Products of a few quantised rows of x with sixteen rows of a weight in Q8_0 blocks, where these lie: for a weight
// that is read once or twice, whose packing (packed_layout.h) would take longer than its product. The same numbers are
// added in the same order, so the same bits come out. Included once for each instruction set.
#if defined(QKV_KERNELS_CPU_BLOCKS_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_CPU_BLOCKS_TILE_INL_H_
#undef QKV_KERNELS_CPU_BLOCKS_TILE_INL_H_
#else
#define QKV_KERNELS_CPU_BLOCKS_TILE_INL_H_
#endif

#include "hwy/highway.h"
#include "qkv/kernels/cpu/packed.h"
#include "qkv/kernels/cpu/packed_codes-inl.h"
#include "qkv/kernels/cpu/packed_layout.h"
#include "qkv/kernels/cpu/read_ahead.h"
#include "qkv/kernels/cpu/vector-inl.h"

#include <algorithm>
#include <cstring>

HWY_BEFORE_NAMESPACE();
#if defined(QKV_VNNI)
HWY_PUSH_ATTRIBUTES("avx512vnni")
#endif
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {
namespace {

// Rows of x that are multiplied so; 0: none.
template <DType type>
constexpr int64_t rows_in_blocks() {
#if defined(QKV_VNNI)
  if (type == DType::q8_0) return 4;
#endif
  return 0;
}

#if defined(QKV_VNNI)

// sums + a sum of four products in each lane: `codes` are unsigned, `x` is signed.
HWY_INLINE __m512i dot_bytes(__m512i codes, __m512i x) {
#if defined(__clang__)
  // See dot_quads() of packed_codes-inl.h.
  __m512i sums = _mm512_setzero_si512();
  asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(codes), "v"(x));
  return sums;
#else
  return _mm512_dpbusd_epi32(_mm512_setzero_si512(), codes, x);
#endif
}

// Lane r: the sum of what belongs to row r. parts[i] holds eight lanes of row i and eight of row i + 4, for i < 4; from
// there on of rows i + 4 and i + 8.
HWY_INLINE __m512i sums_of_rows(const __m512i (&parts)[8]) {
  __m512i pairs[4], quads[2];
  for (int i = 0; i < 4; ++i)
    pairs[i] = _mm512_add_epi32(_mm512_unpacklo_epi32(parts[2 * i], parts[2 * i + 1]),
                                _mm512_unpackhi_epi32(parts[2 * i], parts[2 * i + 1]));
  for (int i = 0; i < 2; ++i)
    quads[i] = _mm512_add_epi32(_mm512_unpacklo_epi64(pairs[2 * i], pairs[2 * i + 1]),
                                _mm512_unpackhi_epi64(pairs[2 * i], pairs[2 * i + 1]));
  return _mm512_add_epi32(_mm512_shuffle_i32x4(quads[0], quads[1], _MM_SHUFFLE(2, 0, 2, 0)),
                          _mm512_shuffle_i32x4(quads[0], quads[1], _MM_SHUFFLE(3, 1, 3, 1)));
}

struct RowsOfBlocks {
  const uint8_t* row[group_rows];
  const uint8_t* ahead;  // what is read after these rows
};

// out[rows][group_rows], of all rows of x.
template <int rows>
HWY_NOINLINE void tile_of_q8_0(const RowsOfBlocks& w, int64_t k, const QuantisedRows& x, float* out) {
  constexpr int64_t block = 34;  // an f16 scale, 32 codes
  const __m512i to_unsigned = _mm512_set1_epi8(static_cast<char>(0x80));
  V totals[rows];
  for (V& total : totals) total = hn::Zero(F());
  for (int64_t b = 0; b < k / block_columns; ++b) {
    for (int64_t line = 0; line < group_rows * block; line += 64) ask_for(w.ahead + b * group_rows * block + line);
    alignas(32) uint16_t halves[group_rows];
    __m512i codes[8];
    for (int i = 0; i < 8; ++i) {
      const uint8_t* low = w.row[i % 4 + i / 4 * 8] + b * block + 2;
      const uint8_t* high = w.row[i % 4 + i / 4 * 8 + 4] + b * block + 2;
      const __m512i signed_codes =
          _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(low))),
                             _mm256_loadu_si256(reinterpret_cast<const __m256i*>(high)), 1);
      codes[i] = _mm512_xor_si512(signed_codes, to_unsigned);
    }
    for (int64_t r = 0; r < group_rows; ++r) std::memcpy(&halves[r], w.row[r] + b * block, sizeof halves[r]);
    const V scale = V{_mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(halves)))};
    for (int r = 0; r < rows; ++r) {
      const __m512i of_x = _mm512_broadcast_i64x4(
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x.values + r * k + b * block_columns)));
      __m512i parts[8];
      for (int i = 0; i < 8; ++i) parts[i] = dot_bytes(codes[i], of_x);
      const int64_t place = b * rows + r;
      const auto sums = hn::Add(hn::Vec<I>{sums_of_rows(parts)}, hn::Set(I(), x.starts[place]));
      totals[r] = hn::MulAdd(in_floats(sums), hn::Mul(scale, splat(x.scales[place])), totals[r]);
    }
  }
  for (int r = 0; r < rows; ++r) store(totals[r], out + r * group_rows);
}

// out[x.rows][group_rows] with rows of W from `first` on; beyond the last one stand the first's.
HWY_INLINE void tile_in_blocks(const PackedGemm& g, const QuantisedRows& x, int64_t first, float* out) {
  const int64_t row_bytes = g.k / block_columns * 34;
  const uint8_t* from = static_cast<const uint8_t*>(g.packed) + first * row_bytes;
  RowsOfBlocks w;
  for (int64_t r = 0; r < group_rows; ++r) w.row[r] = from + (first + r < g.n ? r : 0) * row_bytes;
  w.ahead = from + group_rows * row_bytes;
  if (x.rows == 1) return tile_of_q8_0<1>(w, g.k, x, out);
  if (x.rows == 2) return tile_of_q8_0<2>(w, g.k, x, out);
  if (x.rows == 3) return tile_of_q8_0<3>(w, g.k, x, out);
  tile_of_q8_0<4>(w, g.k, x, out);
}

#else

HWY_INLINE void tile_in_blocks(const PackedGemm&, const QuantisedRows&, int64_t, float*) {}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
#if defined(QKV_VNNI)
HWY_POP_ATTRIBUTES
#endif
HWY_AFTER_NAMESPACE();

#endif
