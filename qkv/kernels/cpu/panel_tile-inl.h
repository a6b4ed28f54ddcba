// Products of a few rows of x with a panel of a weight (panels.h). Included once for each instruction set.
#if defined(QKV_KERNELS_CPU_PANEL_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_CPU_PANEL_TILE_INL_H_
#undef QKV_KERNELS_CPU_PANEL_TILE_INL_H_
#else
#define QKV_KERNELS_CPU_PANEL_TILE_INL_H_
#endif

#include "hwy/highway.h"
#include "qkv/kernels/cpu/panels.h"
#include "qkv/kernels/cpu/read_ahead.h"
#include "qkv/kernels/cpu/vector-inl.h"

#include <algorithm>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {
namespace {

using VU = hn::Vec<U>;

// What becomes of a word of the weight and one of x: sums += w x.
struct Floats {
  static HWY_INLINE V add(V sums, VU w, uint32_t x) {
    return hn::MulAdd(hn::BitCast(F(), w), hn::BitCast(F(), hn::Set(U(), x)), sums);
  }
};
struct Pairs {
  static HWY_INLINE V even(VU words) { return hn::BitCast(F(), hn::ShiftLeft<16>(words)); }
  static HWY_INLINE V odd(VU words) { return hn::BitCast(F(), hn::And(words, hn::Set(U(), 0xffff0000U))); }
  static HWY_INLINE V add(V sums, VU w, uint32_t x) {
    const VU both = hn::Set(U(), x);
    return hn::MulAdd(odd(w), odd(both), hn::MulAdd(even(w), even(both), sums));
  }
};
#if HWY_TARGET == HWY_AVX3
// AVX-512 BF16, for which Highway has no target of its own. Numbers too small for normal ones count as zero.
struct NativePairs {
  static HWY_INLINE V add(V sums, VU w, uint32_t x) {
    const VU both = hn::Set(U(), x);
    asm("vdpbf16ps %2, %1, %0" : "+v"(sums.raw) : "v"(w.raw), "v"(both.raw));
    return sums;
  }
};
#endif

// Quads of x that a tile takes: two registers for each row, beside those of the weight.
constexpr int most_quads = HWY_TARGET == HWY_AVX3 ? 3 : 1;

// The products of the first row of x alone with the rows of a panel, in out. A panel's rows go together, as many as
// registers hold, so that memory is read in one stream.
template <typename Word>
HWY_NOINLINE void panel_row(const uint32_t* panel, const uint32_t* x, int64_t words, float* out) {
  constexpr int vectors = std::min<int>(8, panel_rows / static_cast<int>(hn::MaxLanes(F())));
  constexpr int64_t ahead =
      (HWY_TARGET == HWY_AVX3 ? read_ahead_of_stream : read_ahead) / static_cast<int64_t>(sizeof(uint32_t));
  for (int64_t lane = 0; lane < panel_rows; lane += vectors * lanes()) {
    V sums[vectors];
    for (V& sum : sums) sum = hn::Zero(F());
    const uint32_t* w = panel + lane;
    for (int64_t i = 0; i < words; ++i, w += panel_rows) {
      for (int64_t line = 0; line < vectors * lanes(); line += 16) ask_for(w + ahead + line);
      for (int v = 0; v < vectors; ++v) sums[v] = Word::add(sums[v], hn::LoadU(U(), w + v * lanes()), x[i * quad_rows]);
    }
    for (int v = 0; v < vectors; ++v) store(sums[v], out + lane + v * lanes());
  }
}

// out[r * panel_rows + j] = the products of 4 `quads` rows of x with the rows of a panel. A quad begins
// `stride` words behind the one before it. With `cold`, the panel comes from memory: what is read next is asked for in
// time.
template <typename Word, int quads, bool cold>
HWY_NOINLINE void panel_tile(const uint32_t* panel, const uint32_t* x, int64_t words, int64_t stride, float* out) {
  constexpr int rows = quads * quad_rows;
  constexpr int64_t ahead = read_ahead / static_cast<int64_t>(sizeof(uint32_t));
  for (int64_t lane = 0; lane < panel_rows; lane += 2 * lanes()) {
    V left[rows], right[rows];
    for (int r = 0; r < rows; ++r) left[r] = right[r] = hn::Zero(F());
    const uint32_t* w = panel + lane;
    const uint32_t* x4 = x;
    for (int64_t i = 0; i < words; ++i, w += panel_rows, x4 += quad_rows) {
      if constexpr (cold) {
        for (int64_t line = 0; line < 2 * lanes(); line += 16) ask_for(w + ahead + line);
      }
      const VU u = hn::LoadU(U(), w);
      const VU v = hn::LoadU(U(), w + lanes());
      for (int q = 0; q < quads; ++q)
        for (int r = 0; r < quad_rows; ++r) {
          const uint32_t word = x4[q * stride + r];
          left[q * quad_rows + r] = Word::add(left[q * quad_rows + r], u, word);
          right[q * quad_rows + r] = Word::add(right[q * quad_rows + r], v, word);
        }
    }
    for (int r = 0; r < rows; ++r) {
      store(left[r], out + r * panel_rows + lane);
      store(right[r], out + r * panel_rows + lane + lanes());
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#endif
