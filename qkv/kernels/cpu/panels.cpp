// Products with weights in panels (panels.h).
#include "qkv/kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/cpu/panels.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "qkv/core/parallel_tasks.h"
#include "qkv/kernels/cpu/arrange-inl.h"
#include "qkv/kernels/cpu/instruction_sets.h"
#include "qkv/kernels/cpu/packed_finish-inl.h"
#include "qkv/kernels/cpu/panel_tile-inl.h"
#include "qkv/tensor/tensor.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {
namespace {

template <typename Word, bool cold>
HWY_INLINE int64_t tile_of_some(const uint32_t* panel, const uint32_t* x, int64_t words, int64_t left, float* out) {
  const int64_t stride = words * quad_rows;
  if constexpr (most_quads >= 3) {
    if (left >= 3) return panel_tile<Word, 3, cold>(panel, x, words, stride, out), 3;
    if (left == 2) return panel_tile<Word, 2, cold>(panel, x, words, stride, out), 2;
  }
  return panel_tile<Word, 1, cold>(panel, x, words, stride, out), 1;
}

// A panel against quads [top, bottom).
template <typename Word>
void multiply_panel(const PackedGemm& g, int64_t words, const uint32_t* quads, int64_t top, int64_t bottom,
                    const uint32_t* panel, int64_t first) {
  alignas(64) float out[most_quads * quad_rows * panel_rows];
  if (g.m == 1) {
    panel_row<Word>(panel, quads, words, out);
    return finish_rows(g, out, panel_rows, 0, 1, first);
  }
  for (int64_t q = top; q < bottom;) {
    const uint32_t* x = quads + q * quad_rows * words;
    const int64_t done = q == top ? tile_of_some<Word, true>(panel, x, words, bottom - q, out)
                                  : tile_of_some<Word, false>(panel, x, words, bottom - q, out);
    const int64_t row = q * quad_rows;
    finish_rows(g, out, panel_rows, row, std::min(g.m - row, done * quad_rows), first);
    q += done;
  }
}

// Threads share out the panels, and where these are few also the quads.
template <typename Word>
void multiply_panels(const PackedGemm& g, int64_t words, const uint32_t* quads) {
  constexpr int64_t work_of_a_thread = 50000;  // multiplications of words: a microsecond
  constexpr int64_t least_quads = 12;          // that pay for reading a panel
  const int64_t panels = panels_of(g.n);
  const int64_t all = quads_of(g.m);
  const int64_t shares = std::clamp<int64_t>(8 * threads() / panels, 1, std::max<int64_t>(1, all / least_quads));
  const int64_t share = (all + shares - 1) / shares;
  const int64_t work = panel_rows * words * share * quad_rows;
  const int64_t grain = std::max<int64_t>(1, work_of_a_thread / std::max<int64_t>(1, work));
  parallel_tasks(panels * shares, grain, [&](int64_t begin, int64_t end) HWY_ATTR {
    for (int64_t i = begin; i < end; ++i) {
      const uint32_t* panel = static_cast<const uint32_t*>(g.packed) + i / shares * panel_rows * words;
      const int64_t top = i % shares * share;
      multiply_panel<Word>(g, words, quads, top, std::min(all, top + share), panel, i / shares * panel_rows);
    }
  });
}

#if HWY_TARGET == HWY_AVX3
bool native_pairs() {
  static const bool supported = __builtin_cpu_supports("avx512bf16") != 0;
  return supported;
}
#endif

}  // namespace

void panel_gemm_on_target(const PackedGemm& g) {
  const int64_t words = words_of(g.type, g.k);
  const Tensor memory = Tensor::empty({quads_of(g.m) * quad_rows * words}, DType::i32);
  uint32_t* quads = static_cast<uint32_t*>(memory.raw());
  with_type(g.a_type, [&](auto t) HWY_ATTR {
    using T = decltype(t);
    const Operand<T> x{static_cast<const T*>(g.a), g.m, g.k, g.lda};
    if (g.type == DType::bf16) {
      arrange_quads<bf16>(x, words, quads);
    } else {
      arrange_quads<float>(x, words, quads);
    }
  });
  if (g.type == DType::f32) return multiply_panels<Floats>(g, words, quads);
#if HWY_TARGET == HWY_AVX3
  if (native_pairs()) return multiply_panels<NativePairs>(g, words, quads);
#endif
  multiply_panels<Pairs>(g, words, quads);
}

void pack_panels_on_target(const Pack& a) {
  const int64_t words = words_of(a.type, a.k);
  with_type(a.rows_type, [&](auto t) HWY_ATTR {
    using T = decltype(t);
    const Operand<T> rows{static_cast<const T*>(a.rows), a.n, a.k, a.k};
    parallel_for(panels_of(a.n), 1, [&](int64_t begin, int64_t end) HWY_ATTR {
      for (int64_t p = begin; p < end; ++p) {
        uint32_t* panel = static_cast<uint32_t*>(a.packed) + p * panel_rows * words;
        if (a.type == DType::bf16) {
          arrange_panel<bf16>(rows, p * panel_rows, words, panel);
        } else {
          arrange_panel<float>(rows, p * panel_rows, words, panel);
        }
      }
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels::cpu_set {
QKV_EXPORT(panel_gemm_on_target);
QKV_EXPORT(pack_panels_on_target);

void pack_panels(const Pack& a) { QKV_DISPATCH(pack_panels_on_target)(a); }

void panel_gemm(const PackedGemm& g) { QKV_DISPATCH(panel_gemm_on_target)(g); }

}  // namespace qkv::kernels::cpu_set
#endif
