#include "qkv/kernels/cuda/gemv.h"

#include "qkv/kernels/cuda/activations.h"
#include "qkv/kernels/cuda/elements.h"
#include "qkv/kernels/cuda/reduce.h"

namespace qkv::kernels {
namespace {

constexpr int most_rows = 4, threads = 128, at_once = 4;

// A warp takes a row of B, `at_once` vectors of it on their way at a time; A's rows come from the caches.
template <typename A, typename B, int rows>
__global__ void __launch_bounds__(threads) multiply_rows(Gemm g) {
  constexpr int n = vector_count<B>;
  const int lane = static_cast<int>(threadIdx.x) % warp_threads;
  const int64_t j = static_cast<int64_t>(blockIdx.x) * (threads / warp_threads) + threadIdx.x / warp_threads;
  if (j >= g.n) return;
  const B* b = static_cast<const B*>(g.b) + j * g.ldb;
  float sums[rows] = {};
  for (int64_t p0 = int64_t{lane} * n; p0 < g.k; p0 += int64_t{warp_threads} * n * at_once) {
    Vector<B> weights[at_once];
#pragma unroll
    for (int v = 0; v < at_once; ++v)
      if (const int64_t p = p0 + int64_t{v} * warp_threads * n; p < g.k) weights[v] = load_vector<n>(b + p);
#pragma unroll
    for (int v = 0; v < at_once; ++v) {
      const int64_t p = p0 + int64_t{v} * warp_threads * n;
      if (p >= g.k) break;
#pragma unroll
      for (int i = 0; i < rows; ++i) {
        if (i >= g.m) break;
        const Vector<A, n> values = load_vector<n>(static_cast<const A*>(g.a) + i * g.lda + p);
#pragma unroll
        for (int c = 0; c < n; ++c) sums[i] += to_float(values.at[c]) * to_float(weights[v].at[c]);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < rows; ++i) {
    if (i >= g.m) break;
    float sum = reduce_warp(sums[i], Add());
    if (lane != 0) continue;
    if (g.bias != nullptr) sum += g.bias[j];
    const int64_t at = i * g.ldc + j;
    store_number(g.c, g.c_type, at,
                 g.accumulate ? sum + load_number(g.c, g.c_type, at) : activation_value(g.activation, sum));
  }
}

}  // namespace

bool multiply_few_rows(const Gemm& g) {
  if (g.m > most_rows || g.a_transposed || !g.b_transposed) return false;
  // The vectors of 16-bit types are the longer ones: where they stand, f32's do.
  if (!vectors_at(DType::bf16, g.lda, {g.a, g.b}) || !vectors_at(DType::bf16, g.ldb, {}) ||
      !vectors_at(DType::bf16, g.k, {}))
    return false;
  constexpr int warps = threads / warp_threads;
  with_types("gemm", g.a_type, g.b_type, [&]<typename A, typename B>(A, B) {
    launch("gemm",
           g.m == 1   ? multiply_rows<A, B, 1>
           : g.m == 2 ? multiply_rows<A, B, 2>
                      : multiply_rows<A, B, most_rows>,
           Grid{(g.n + warps - 1) / warps}, threads, 0, g);
  });
  return true;
}

}  // namespace qkv::kernels
