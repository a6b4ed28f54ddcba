#include "qkv/kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/cpu/gemv.cpp"
#include "hwy/foreach_target.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/instruction_sets.h"
#include "qkv/kernels/cpu/dispatch.h"
#include "qkv/kernels/cpu/gemv.h"
#include "qkv/kernels/cpu/vector-inl.h"

#include <vector>

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {

// Dot products of `rows` rows of x (f32, [rows, k]) with `columns` consecutive rows of the matrix: rows x columns
// accumulators live in registers while the matrix streams by. With `ahead`, the rows of the matrix behind these are
// asked for.
template <int rows, int columns, bool ahead, typename T>
HWY_INLINE void dots(const float* x, int64_t k, const T* w, int64_t ldw, float* out, int64_t out_stride) {
  const int64_t N = lanes();
  V sums[rows * columns];
  for (V& sum : sums) sum = hn::Zero(F());
  const auto step = [&](int64_t i, int64_t count) HWY_ATTR {
    for (int c = 0; c < columns; ++c) {
      if constexpr (ahead) hwy::Prefetch(w + (columns + c) * ldw + i);
      const V weight = count == N ? load(w + c * ldw + i) : load_part(w + c * ldw + i, count);
      for (int r = 0; r < rows; ++r) {
        const V input = count == N ? load(x + r * k + i) : load_part(x + r * k + i, count);
        sums[r * columns + c] = hn::MulAdd(weight, input, sums[r * columns + c]);
      }
    }
  };
  int64_t i = 0;
  for (; i + N <= k; i += N) step(i, N);
  if (i < k) step(i, k - i);
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c) out[r * out_stride + c] = sum_of(sums[r * columns + c]);
}

// One row of x with several rows of the matrix, unrolled along k: enough loads in flight to fill the memory bus.
template <typename T>
HWY_INLINE void dots_of_one(const float* x, int64_t k, const T* w, int64_t ldw, float* out) {
  const int64_t N = lanes();
  const T* w0 = w;
  const T* w1 = w + ldw;
  const T* w2 = w + 2 * ldw;
  const T* w3 = w + 3 * ldw;
  V a0 = hn::Zero(F()), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  int64_t i = 0;
  // The next four rows follow in memory: asking for them now keeps the bus busy across the short rows.
  const int64_t ahead = 4 * ldw;
  for (; i + 2 * N <= k; i += 2 * N) {
    for (const T* row : {w0, w1, w2, w3})
      for (int64_t line = 0; line < 2 * N; line += 64 / static_cast<int64_t>(sizeof(T)))
        hwy::Prefetch(row + ahead + i + line);
    const V u = load(x + i);
    const V v = load(x + i + N);
    a0 = hn::MulAdd(load(w0 + i), u, a0);
    a1 = hn::MulAdd(load(w1 + i), u, a1);
    a2 = hn::MulAdd(load(w2 + i), u, a2);
    a3 = hn::MulAdd(load(w3 + i), u, a3);
    b0 = hn::MulAdd(load(w0 + i + N), v, b0);
    b1 = hn::MulAdd(load(w1 + i + N), v, b1);
    b2 = hn::MulAdd(load(w2 + i + N), v, b2);
    b3 = hn::MulAdd(load(w3 + i + N), v, b3);
  }
  for (; i < k; i += N) {
    const int64_t count = std::min(N, k - i);
    const V u = load_part(x + i, count);
    a0 = hn::MulAdd(load_part(w0 + i, count), u, a0);
    a1 = hn::MulAdd(load_part(w1 + i, count), u, a1);
    a2 = hn::MulAdd(load_part(w2 + i, count), u, a2);
    a3 = hn::MulAdd(load_part(w3 + i, count), u, a3);
  }
  out[0] = sum_of(hn::Add(a0, b0));
  out[1] = sum_of(hn::Add(a1, b1));
  out[2] = sum_of(hn::Add(a2, b2));
  out[3] = sum_of(hn::Add(a3, b3));
}

template <typename T>
void rows_of_matrix(const float* x, int64_t m, int64_t k, const T* w, int64_t ldw, int64_t count, float* out,
                    int64_t out_stride) {
  int64_t j = 0;
  for (; j + 4 <= count; j += 4) {
    if (m == 1) {
      dots_of_one(x, k, w + j * ldw, ldw, out + j);
      continue;
    }
    int64_t r = 0;
    if (m >= 4) {
      dots<4, 4, true>(x, k, w + j * ldw, ldw, out + j, out_stride);
      r = 4;
    } else {
      dots<2, 4, true>(x, k, w + j * ldw, ldw, out + j, out_stride);
      r = 2;
    }
    for (; r + 4 <= m; r += 4) dots<4, 4, false>(x + r * k, k, w + j * ldw, ldw, out + r * out_stride + j, out_stride);
    for (; r + 2 <= m; r += 2) dots<2, 4, false>(x + r * k, k, w + j * ldw, ldw, out + r * out_stride + j, out_stride);
    for (; r < m; ++r) dots<1, 4, false>(x + r * k, k, w + j * ldw, ldw, out + r * out_stride + j, out_stride);
  }
  for (; j < count; ++j)
    for (int64_t r = 0; r < m; ++r)
      dots<1, 1, false>(x + r * k, k, w + j * ldw, ldw, out + r * out_stride + j, out_stride);
}

void gemv_on_target(const Gemm& g) {
  // The rows as dense f32, in cache.
  std::vector<float> x(static_cast<size_t>(g.m * g.k));
  with_type(g.a_type, [&](auto t) HWY_ATTR {
    using T = decltype(t);
    for (int64_t r = 0; r < g.m; ++r)
      map(static_cast<const T*>(g.a) + r * g.lda, x.data() + r * g.k, g.k, [](V v) HWY_ATTR { return v; });
  });
  with_type(g.b_type, [&](auto t) HWY_ATTR {
    using T = decltype(t);
    const int64_t grain = std::max<int64_t>(4, 4 * elementwise_grain / g.k);
    parallel_for((g.n + 3) / 4, (grain + 3) / 4, [&](int64_t begin, int64_t end) HWY_ATTR {
      constexpr int64_t block = 64;
      float out[8 * block];
      for (int64_t j = 4 * begin; j < std::min(4 * end, g.n); j += block) {
        const int64_t count = std::min(block, std::min(4 * end, g.n) - j);
        rows_of_matrix(x.data(), g.m, g.k, static_cast<const T*>(g.b) + j * g.ldb, g.ldb, count, out, block);
        for (int64_t r = 0; r < g.m; ++r) {
          float* row = out + r * block;
          if (g.bias != nullptr) map(row, g.bias + j, row, count, [](V v, V b) HWY_ATTR { return hn::Add(v, b); });
          with_type(g.c_type, [&](auto c) HWY_ATTR {
            using C = decltype(c);
            C* to = static_cast<C*>(g.c) + r * g.ldc + j;
            if (g.accumulate) {
              map(row, to, to, count, [](V v, V y) HWY_ATTR { return hn::Add(v, y); });
            } else {
              map(row, to, count, [](V v) HWY_ATTR { return v; });
            }
          });
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
QKV_EXPORT(gemv_on_target);

bool gemv_fits(const Gemm& g) {
  return g.m <= 8 && g.b_transposed && !g.a_transposed && g.activation == Activation::none && g.n >= 64;
}

void gemv(const Gemm& g) { QKV_DISPATCH(gemv_on_target)(g); }
}  // namespace qkv::kernels::cpu_set
#endif
