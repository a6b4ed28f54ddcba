#include "qkv/kernels/cuda/column_sums.h"
#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/number.h"
#include "qkv/kernels/cuda/reduce.h"
#include "qkv/kernels/cuda/scratch.h"

#include <algorithm>

namespace qkv::kernels {
namespace {

constexpr int adders = 8;  // threads of a block that share a column

// 32 columns a block.
__global__ void __launch_bounds__(adders* warp_threads)
    add_partials(PartialSums sums, int64_t width, float* out, bool accumulate) {
  __shared__ float shared[adders][warp_threads];
  const int lane = static_cast<int>(threadIdx.x) % warp_threads, adder = static_cast<int>(threadIdx.x) / warp_threads;
  const int64_t j = static_cast<int64_t>(blockIdx.x) * warp_threads + lane;
  float sum = 0;
  if (j < width)
    for (int64_t g = adder; g < sums.groups; g += adders) sum += sums.partials[g * sums.ld + j];
  shared[adder][lane] = sum;
  __syncthreads();
  if (adder != 0 || j >= width) return;
  for (int i = 1; i < adders; ++i) sum += shared[i][lane];
  out[j] = accumulate ? out[j] + sum : sum;
}

}  // namespace

void add_partial_sums(const char* op, const PartialSums& sums, int64_t width, float* out, bool accumulate) {
  launch(op, add_partials, Grid{(width + warp_threads - 1) / warp_threads}, adders * warp_threads, 0, sums, width, out,
         accumulate);
}

namespace cuda_set {
namespace {

constexpr int warps = 8;

// Each lane takes n neighbouring columns, each warp every eighth row of the block's group.
template <typename T, int n>
__global__ void __launch_bounds__(warps* warp_threads) sum_group(SumRows a, int64_t group_rows, float* partials) {
  __shared__ float shared[warps][warp_threads * n];
  const int lane = static_cast<int>(threadIdx.x) % warp_threads, warp = static_cast<int>(threadIdx.x) / warp_threads;
  const int64_t j = (static_cast<int64_t>(blockIdx.x) * warp_threads + lane) * n;
  const int64_t begin = blockIdx.y * group_rows, end = begin + group_rows < a.rows ? begin + group_rows : a.rows;
  float sums[n] = {};
  if (j < a.width)
    for (int64_t i = begin + warp; i < end; i += warps) {
      const Vector<T, n> values = load_vector<n>(static_cast<const T*>(a.x) + i * a.ld + j);
#pragma unroll
      for (int c = 0; c < n; ++c) sums[c] += to_float(values.at[c]);
    }
#pragma unroll
  for (int c = 0; c < n; ++c) shared[warp][lane * n + c] = sums[c];
  __syncthreads();
  for (int c = static_cast<int>(threadIdx.x); c < warp_threads * n; c += warps * warp_threads) {
    const int64_t column = static_cast<int64_t>(blockIdx.x) * warp_threads * n + c;
    if (column >= a.width) continue;
    float sum = 0;
    for (int w = 0; w < warps; ++w) sum += shared[w][c];
    partials[blockIdx.y * a.width + column] = sum;
  }
}

}  // namespace

void sum_rows(const SumRows& a) {
  constexpr int64_t rows_of_group = 64, most_groups = 128;
  SumRows call = a;
  if (call.ld == 0) call.ld = a.width;
  const int64_t groups = std::clamp((a.rows + rows_of_group - 1) / rows_of_group, int64_t{1}, most_groups);
  const Scratch<float> partials(groups * a.width);
  const bool vectors = vectors_at(a.type, call.ld, {a.x}) && vectors_at(a.type, a.width, {});
  with_type(a.type, [&]<typename T>(T) {
    const int64_t columns = warp_threads * (vectors ? vector_count<T> : 1);
    launch("sum_rows", vectors ? sum_group<T, vector_count<T>> : sum_group<T, 1>,
           Grid{(a.width + columns - 1) / columns, groups}, warps * warp_threads, 0, call,
           (a.rows + groups - 1) / groups, partials.data());
  });
  add_partial_sums("sum_rows", {partials.data(), groups, a.width}, a.width, a.out, a.accumulate);
}

}  // namespace cuda_set
}  // namespace qkv::kernels
