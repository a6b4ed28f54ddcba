// Products of rounded rows with packed weights, one kernel for few rows and one for many.
#pragma once

#include "qkv/kernels/cuda/activations.h"
#include "qkv/kernels/cuda/packed/rounded_rows.h"
#include "qkv/kernels/cuda/packed/weights.h"
#include "qkv/kernels/cuda/reduce.h"
#include "qkv/kernels/cuda/tensor_core.h"

namespace qkv::kernels {

// What the columns apart add to C[i, j], those from `begin` on, `step` apart.
template <DType type>
__device__ inline float sum_apart(const PackedGemm& g, const Weights<type>& w, const Rounded& a, int64_t i, int64_t j,
                                  int begin, int step) {
  float sum = 0;
  if constexpr (Weights<type>::outliers)
    for (int e = begin; e < *a.apart_count; e += step) {
      sum += load_number(g.a, g.a_type, i * g.lda + a.apart[e]) * w.number(j, a.apart[e]);
    }
  return sum;
}

__device__ inline void store_result(const PackedGemm& g, int64_t i, int64_t j, float sum) {
  store_number(g.c, g.c_type, i * g.ldc + j, activation_value(g.activation, sum + (g.bias != nullptr ? g.bias[j] : 0)));
}

// Few rows: the weight is all that takes time. A warp takes a row of it, each lane every 32nd group.
inline constexpr int few_rows = 8, few_threads = 128;

template <DType type, int rows>
__global__ void __launch_bounds__(few_threads) multiply_few(PackedGemm g, Weights<type> w, Rounded a) {
  using W = Weights<type>;
  const int lane = static_cast<int>(threadIdx.x) % warp_threads;
  const int64_t j = static_cast<int64_t>(blockIdx.x) * (few_threads / warp_threads) + threadIdx.x / warp_threads;
  if (j >= g.n) return;
  float sums[rows] = {};
  for (int64_t group = lane; group < a.groups; group += warp_threads) {
    const Group b = w.read(j, group);
#pragma unroll
    for (int i = 0; i < rows; ++i) {
      if (i >= g.m) break;
      const int64_t at = i * a.groups + group;
      uint32_t words[8];
      read_words<16>(a.codes + at * 32, words);
      float sum = 0;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        int dot = 0;
#pragma unroll
        for (int word = 4 * half; word < 4 * half + 4; ++word)
          dot = __dp4a(static_cast<int>(b.word[word]), static_cast<int>(words[word]), dot);
        if constexpr (W::offset != 0) dot -= W::offset * a.sums[2 * at + half];
        sum += b.scale[half] * static_cast<float>(dot);
        if constexpr (W::lows) sum -= b.low[half] * static_cast<float>(a.sums[2 * at + half]);
      }
      sums[i] += a.scales[at] * sum;
    }
  }
#pragma unroll
  for (int i = 0; i < rows; ++i) {
    if (i >= g.m) break;
    const float sum = reduce_warp(sums[i] + sum_apart(g, w, a, i, j, lane, warp_threads), Add());
    if (lane == 0) store_result(g, i, j, sum);
  }
}

// Many rows: a block makes 64 x 64 results on tensor cores, a warp 16 rows of them. Four groups of k at a time stand in
// shared memory.
inline constexpr int many_tile = 64, many_groups = 4, many_threads = 128;

struct ManyShared {
  // Words are padded so that the lanes of a fragment meet different banks.
  uint32_t b[many_groups][many_tile][12];
  uint32_t a[many_tile][many_groups * 8 + 4];
  float b_scale[many_groups][2][many_tile], b_low[many_groups][2][many_tile];
  float a_scale[many_groups][many_tile];
  int32_t a_sum[many_groups][2][many_tile];
};

template <DType type>
__device__ inline void read_tiles(const PackedGemm& g, const Weights<type>& w, const Rounded& a, int64_t i0, int64_t j0,
                                  int64_t g0, ManyShared& shared) {
  for (int e = static_cast<int>(threadIdx.x); e < many_tile * many_groups; e += many_threads) {
    const int at = e / many_groups, group = e % many_groups;
    const bool in_k = g0 + group < a.groups;
    Group b{};
    if (in_k && j0 + at < g.n) b = w.read(j0 + at, g0 + group);
    uint32_t words[8] = {};
    const int64_t from = (i0 + at) * a.groups + g0 + group;
    const bool there = in_k && i0 + at < g.m;
    if (there) read_words<16>(a.codes + from * 32, words);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      shared.b[group][at][i] = b.word[i];
      shared.a[at][group * 8 + i] = words[i];
    }
    shared.a_scale[group][at] = there ? a.scales[from] : 0;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      shared.b_scale[group][half][at] = b.scale[half];
      shared.b_low[group][half][at] = b.low[half];
      shared.a_sum[group][half][at] = there ? a.sums[2 * from + half] : 0;
    }
  }
}

template <DType type>
__global__ void __launch_bounds__(many_threads) multiply_many(PackedGemm g, Weights<type> w, Rounded a) {
  using W = Weights<type>;
  constexpr int columns = many_tile / 8;
  ManyShared& shared = *dynamic_shared<ManyShared>();
  const int lane = static_cast<int>(threadIdx.x) % warp_threads, warp = static_cast<int>(threadIdx.x) / warp_threads;
  const int64_t j_tiles = (g.n + many_tile - 1) / many_tile;
  const int64_t i0 = blockIdx.x / j_tiles * many_tile, j0 = blockIdx.x % j_tiles * many_tile;
  const int upper = 16 * warp + lane / 4;  // the lane's rows: this one and the eighth after it
  float sums[columns][4] = {};
  for (int64_t g0 = 0; g0 < a.groups; g0 += many_groups) {
    __syncthreads();
    read_tiles(g, w, a, i0, j0, g0, shared);
    __syncthreads();
    for (int group = 0; group < many_groups; ++group) {
      const uint32_t* first = &shared.a[upper][group * 8 + lane % 4];
      const uint32_t* second = &shared.a[upper + 8][group * 8 + lane % 4];
#pragma unroll
      for (int c = 0; c < columns; ++c) {
        const uint32_t* b = &shared.b[group][8 * c + lane / 4][lane % 4];
        int32_t dots[2][4] = {};
        mma_m16n8k16(dots[0], first[0], second[0], b[0]);
        mma_m16n8k16(dots[W::two_scales ? 1 : 0], first[4], second[4], b[4]);
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int row = upper + 8 * (e / 2), column = 8 * c + 2 * (lane % 4) + e % 2;
          float sum = 0;
#pragma unroll
          for (int half = 0; half < (W::two_scales ? 2 : 1); ++half) {
            int32_t of_a = shared.a_sum[group][half][row];
            if constexpr (!W::two_scales) of_a += shared.a_sum[group][1][row];
            const int32_t dot = dots[half][e] - W::offset * of_a;
            sum += shared.b_scale[group][half][column] * static_cast<float>(dot);
            if constexpr (W::lows) sum -= shared.b_low[group][half][column] * static_cast<float>(of_a);
          }
          sums[c][e] += shared.a_scale[group][row] * sum;
        }
      }
    }
  }
  // Through shared memory, so that the sums may stay in registers and neighbours write neighbours.
  constexpr int pitch = many_tile + 1;
  static_assert(many_tile * pitch * sizeof(float) <= sizeof(ManyShared));
  float* const results = dynamic_shared<float>();
  __syncthreads();
#pragma unroll
  for (int c = 0; c < columns; ++c)
#pragma unroll
    for (int e = 0; e < 4; ++e) results[(upper + 8 * (e / 2)) * pitch + 8 * c + 2 * (lane % 4) + e % 2] = sums[c][e];
  __syncthreads();
  for (int e = static_cast<int>(threadIdx.x); e < many_tile * many_tile; e += many_threads) {
    const int row = e / many_tile, column = e % many_tile;
    const int64_t i = i0 + row, j = j0 + column;
    if (i < g.m && j < g.n) store_result(g, i, j, results[row * pitch + column] + sum_apart(g, w, a, i, j, 0, 1));
  }
}

template <DType type>
void multiply_rounded(const PackedGemm& g, const Rounded& a) {
  const Weights<type> w(g.packed, g.n, g.k);
  if (g.m <= few_rows) {
    constexpr int warps = few_threads / warp_threads;
    const Grid grid{(g.n + warps - 1) / warps};
    launch("packed_gemm",
           g.m == 1   ? multiply_few<type, 1>
           : g.m == 2 ? multiply_few<type, 2>
           : g.m <= 4 ? multiply_few<type, 4>
                      : multiply_few<type, few_rows>,
           grid, few_threads, 0, g, w, a);
  } else {
    const int64_t tiles = ((g.m + many_tile - 1) / many_tile) * ((g.n + many_tile - 1) / many_tile);
    launch("packed_gemm", multiply_many<type>, Grid{tiles}, many_threads, sizeof(ManyShared), g, w, a);
  }
}

// One file of types each, which takes nvcc a while: the small blocks, the large ones, integers.
void multiply_small_blocks(const PackedGemm& g, const Rounded& a);
void multiply_large_blocks(const PackedGemm& g, const Rounded& a);
void multiply_integers(const PackedGemm& g, const Rounded& a);

}  // namespace qkv::kernels
