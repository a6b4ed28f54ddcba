// Products with weights in panels (panels.h).
#include "qkv/kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/cpu/panels.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "qkv/core/parallel_tasks.h"
#include "qkv/kernels/cpu/dispatch.h"
#include "qkv/kernels/cpu/packed_finish-inl.h"
#include "qkv/kernels/cpu/panel_tile-inl.h"
#include "qkv/tensor/tensor.h"

#include <cstring>
#include <type_traits>

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {
namespace {

constexpr int64_t columns_at_once = 512;

// Columns [first, first + count) of a row, as numbers of type W; the rest of `words` words is zero.
template <typename W, typename T>
HWY_INLINE void take_columns(const T* row, int64_t count, int64_t words, uint32_t* out) {
  std::memset(out + words - 1, 0, sizeof(uint32_t));
  if constexpr (std::is_same_v<W, T>) {
    std::memcpy(out, row, static_cast<size_t>(count) * sizeof(T));
  } else {
    map(row, reinterpret_cast<W*>(out), count, [](V v) HWY_ATTR { return v; });
  }
}

// Rows of x as quads of words of W.
template <typename W, typename T>
void arrange(const PackedGemm& g, int64_t words, uint32_t* quads) {
  constexpr int64_t numbers_of_a_word = sizeof(uint32_t) / sizeof(W);
  constexpr int64_t most = columns_at_once / numbers_of_a_word;
  parallel_for(quads_of(g.m), std::max<int64_t>(1, elementwise_grain / std::max<int64_t>(1, quad_rows * g.k)),
               [&](int64_t begin, int64_t end) HWY_ATTR {
                 alignas(64) uint32_t rows[quad_rows][most];
                 for (int64_t q = begin; q < end; ++q)
                   for (int64_t word = 0; word < words; word += most) {
                     const int64_t part = std::min(most, words - word);
                     const int64_t column = word * numbers_of_a_word;
                     const int64_t count = std::min(columns_at_once, g.k - column);
                     for (int64_t r = 0; r < quad_rows; ++r) {
                       const int64_t row = q * quad_rows + r;
                       if (row < g.m) {
                         take_columns<W>(static_cast<const T*>(g.a) + row * g.lda + column, count, part, rows[r]);
                       } else {
                         std::memset(rows[r], 0, sizeof rows[r]);
                       }
                     }
                     uint32_t* out = quads + (q * words + word) * quad_rows;
                     int64_t i = 0;
                     for (; i + lanes() <= part; i += lanes())
                       hn::StoreInterleaved4(hn::LoadU(U(), rows[0] + i), hn::LoadU(U(), rows[1] + i),
                                             hn::LoadU(U(), rows[2] + i), hn::LoadU(U(), rows[3] + i), U(),
                                             out + i * quad_rows);
                     for (; i < part; ++i)
                       for (int64_t r = 0; r < quad_rows; ++r) out[i * quad_rows + r] = rows[r][i];
                   }
               });
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

// Threads share out the panels. Rows of x go in chunks that stay in the second-level cache while panels pass by.
template <typename Word>
void multiply_panels(const PackedGemm& g, int64_t words, const uint32_t* quads) {
  constexpr int64_t chunk_bytes = 512 * 1024;
  constexpr int64_t work_of_a_thread = 50000;  // multiplications of words: a microsecond
  const int64_t quad_bytes = words * quad_rows * static_cast<int64_t>(sizeof(uint32_t));
  const int64_t chunk = std::max<int64_t>(1, chunk_bytes / std::max<int64_t>(1, quad_bytes) / most_quads) * most_quads;
  const int64_t grain = std::max<int64_t>(1, work_of_a_thread / std::max<int64_t>(1, panel_rows * words * g.m));
  parallel_tasks(panels_of(g.n), grain, [&](int64_t begin, int64_t end) HWY_ATTR {
    alignas(64) float out[most_quads * quad_rows * panel_rows];
    for (int64_t top = 0; top < quads_of(g.m); top += chunk)
      for (int64_t i = begin; i < end; ++i) {
        const uint32_t* panel = static_cast<const uint32_t*>(g.packed) + i * panel_rows * words;
        const int64_t bottom = std::min(quads_of(g.m), top + chunk);
        for (int64_t q = top; q < bottom;) {
          const uint32_t* x = quads + q * quad_rows * words;
          const int64_t done = q == top ? tile_of_some<Word, true>(panel, x, words, bottom - q, out)
                                        : tile_of_some<Word, false>(panel, x, words, bottom - q, out);
          const int64_t row = q * quad_rows;
          finish_rows(g, out, panel_rows, row, std::min(g.m - row, done * quad_rows), i * panel_rows);
          q += done;
        }
      }
  });
}

bool native_pairs() {
#if HWY_TARGET == HWY_AVX3
  static const bool supported = __builtin_cpu_supports("avx512bf16") != 0;
  return supported;
#else
  return false;
#endif
}

}  // namespace

void panel_gemm_on_target(const PackedGemm& g) {
  const int64_t words = words_of(g.type, g.k);
  const Tensor memory = Tensor::empty({quads_of(g.m) * quad_rows * words}, DType::i32);
  uint32_t* quads = static_cast<uint32_t*>(memory.raw());
  with_type(g.a_type, [&](auto t) HWY_ATTR {
    using T = decltype(t);
    if (g.type == DType::bf16) {
      arrange<bf16, T>(g, words, quads);
    } else {
      arrange<float, T>(g, words, quads);
    }
  });
  if (g.type == DType::f32) return multiply_panels<Floats>(g, words, quads);
#if HWY_TARGET == HWY_AVX3
  if (native_pairs()) return multiply_panels<NativePairs>(g, words, quads);
#endif
  multiply_panels<Pairs>(g, words, quads);
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels::cpu_set {
HWY_EXPORT(panel_gemm_on_target);

void panel_gemm(const PackedGemm& g) { HWY_DYNAMIC_DISPATCH(panel_gemm_on_target)(g); }

void pack_panels(const Pack& a) {
  const int64_t words = words_of(a.type, a.k);
  const auto place = [&](int64_t p, auto number) {
    using W = decltype(number);
    constexpr int64_t of_a_word = sizeof(uint32_t) / sizeof(W);
    with_type(a.rows_type, [&](auto t) {
      using T = decltype(t);
      W* panel = static_cast<W*>(a.packed) + p * panel_rows * words * of_a_word;
      std::memset(static_cast<void*>(panel), 0, static_cast<size_t>(panel_rows * words) * sizeof(uint32_t));
      const int64_t first = p * panel_rows;
      for (int64_t r = 0; r < std::min(panel_rows, a.n - first); ++r) {
        const T* row = static_cast<const T*>(a.rows) + (first + r) * a.k;
        for (int64_t c = 0; c < a.k; ++c)
          panel[(c / of_a_word * panel_rows + r) * of_a_word + c % of_a_word] = W(static_cast<float>(row[c]));
      }
    });
  };
  parallel_for(panels_of(a.n), 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      if (a.type == DType::bf16) {
        place(p, bf16());
      } else {
        place(p, float());
      }
    }
  });
}

}  // namespace qkv::kernels::cpu_set
#endif
