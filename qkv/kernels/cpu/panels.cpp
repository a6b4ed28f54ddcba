// Products with weights in panels (panels.h).
#include "qkv/kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/cpu/panels.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "qkv/core/parallel_tasks.h"
#include "qkv/kernels/cpu/arrange-inl.h"
#include "qkv/kernels/cpu/compact_panel-inl.h"
#include "qkv/kernels/cpu/instruction_sets.h"
#include "qkv/kernels/cpu/packed_finish-inl.h"
#include "qkv/kernels/cpu/panel_tile-inl.h"
#include "qkv/kernels/cpu/scratch.h"
#include "qkv/tensor/tensor.h"

#include <atomic>

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {
namespace {

// One panel, of this thread.
inline uint32_t* panel_scratch(int64_t words) {
  struct Expanded;
  return reinterpret_cast<uint32_t*>(thread_scratch<Expanded>(words * panel_rows));
}

template <typename Word, bool cold>
HWY_INLINE int64_t tile_of_some(const uint32_t* panel, const uint32_t* x, int64_t words, int64_t left, float* out) {
  const int64_t stride = words * quad_rows;
  if constexpr (most_quads >= 3) {
    if (left >= 3) return panel_tile<Word, 3, cold>(panel, x, words, stride, out), 3;
    if (left == 2) return panel_tile<Word, 2, cold>(panel, x, words, stride, out), 2;
  }
  return panel_tile<Word, 1, cold>(panel, x, words, stride, out), 1;
}

// As many quads as a tile takes.
template <typename Word>
HWY_INLINE void compact_tile(const uint8_t* panel, const uint32_t* x, int64_t words, int64_t quads, float* out) {
  const int64_t stride = words * quad_rows;
  if constexpr (most_quads >= 3) {
    if (quads == 3) return compact_rows<Word, 3 * quad_rows>(panel, x, words, stride, out);
    if (quads == 2) return compact_rows<Word, 2 * quad_rows>(panel, x, words, stride, out);
  }
  compact_rows<Word, quad_rows>(panel, x, words, stride, out);
}

// A panel against quads [top, bottom).
template <typename Word>
void multiply_panel(const PackedGemm& g, int64_t words, const uint32_t* quads, int64_t top, int64_t bottom,
                    const uint8_t* bytes, bool compact, int64_t first) {
  alignas(64) float out[most_quads * quad_rows * panel_rows];
  const auto* panel = reinterpret_cast<const uint32_t*>(bytes);
  if (g.m == 1) {
    if (compact) {
      compact_rows<Word, 1>(bytes, quads, words, 0, out);
    } else {
      panel_row<Word>(panel, quads, words, out);
    }
    return finish_rows(g, out, panel_rows, 0, 1, first);
  }
  if (compact && bottom - top <= most_quads) {
    compact_tile<Word>(bytes, quads + top * quad_rows * words, words, bottom - top, out);
    return finish_rows(g, out, panel_rows, top * quad_rows, std::min(g.m - top * quad_rows, (bottom - top) * quad_rows),
                       first);
  }
  if (compact) {
    uint32_t* expanded = panel_scratch(words);
    expand_panel(bytes, words, expanded);
    panel = expanded;
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
  const Panels weight = panels_in(g.packed, g.type, g.k);
  const int64_t all = quads_of(g.m);
  const int64_t shares = std::clamp<int64_t>(8 * threads() / panels, 1, std::max<int64_t>(1, all / least_quads));
  const int64_t share = (all + shares - 1) / shares;
  const int64_t work = panel_rows * words * share * quad_rows;
  const int64_t grain = std::max<int64_t>(1, work_of_a_thread / std::max<int64_t>(1, work));
  parallel_tasks(panels * shares, grain, [&](int64_t begin, int64_t end) HWY_ATTR {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t panel = i / shares, top = i % shares * share;
      multiply_panel<Word>(g, words, quads, top, std::min(all, top + share), weight[panel], weight.compact,
                           panel * panel_rows);
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

bool pack_panels_on_target(const Pack& a) {
  const int64_t words = words_of(a.type, a.k);
  auto* const out = static_cast<uint8_t*>(a.packed);
  if (panels_head(a.type) != 0) std::memset(out, a.plain ? 0 : 1, 64);
  const Panels panels = panels_in(a.packed, a.type, a.k);
  std::atomic<bool> fits = true;
  with_type(a.rows_type, [&](auto t) HWY_ATTR {
    using T = decltype(t);
    const Operand<T> rows{static_cast<const T*>(a.rows), a.n, a.k, a.k};
    parallel_for(panels_of(a.n), 1, [&](int64_t begin, int64_t end) HWY_ATTR {
      for (int64_t p = begin; p < end && fits; ++p) {
        uint8_t* const panel = out + (panels[p] - out);
        if (a.type == DType::f32) {
          arrange_panel<float>(rows, p * panel_rows, words, reinterpret_cast<uint32_t*>(panel));
        } else if (!panels.compact) {
          arrange_panel<bf16>(rows, p * panel_rows, words, reinterpret_cast<uint32_t*>(panel));
        } else {
          uint32_t* plain = panel_scratch(words);
          arrange_panel<bf16>(rows, p * panel_rows, words, plain);
          // A look at some of the numbers does, but for panels that are not alike all over.
          if (!compact_panel(plain, words, codes_of(plain, words, 1 + words / 64), panel) &&
              !compact_panel(plain, words, codes_of(plain, words, 1), panel))
            fits = false;
        }
      }
    });
  });
  return fits;
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels::cpu_set {
QKV_EXPORT(panel_gemm_on_target);
QKV_EXPORT(pack_panels_on_target);

int64_t panels_bytes(DType type, int64_t n, int64_t k, bool plain) {
  const int64_t words = words_of(type, k);
  const bool compact = type == DType::bf16 && !plain;
  return panels_head(type) + panels_of(n) * (compact ? compact_panel_bytes(words) : plain_panel_bytes(words));
}

Panels panels_in(const void* packed, DType type, int64_t k) {
  const auto* bytes = static_cast<const uint8_t*>(packed);
  const int64_t words = words_of(type, k);
  const bool compact = type == DType::bf16 && *bytes != 0;
  return {bytes + panels_head(type), compact ? compact_panel_bytes(words) : plain_panel_bytes(words), compact};
}

bool pack_panels(const Pack& a) { return QKV_DISPATCH(pack_panels_on_target)(a); }

void panel_gemm(const PackedGemm& g) { QKV_DISPATCH(panel_gemm_on_target)(g); }

}  // namespace qkv::kernels::cpu_set
#endif
