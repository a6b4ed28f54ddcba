// Sums and maxima over the threads of a team: a warp, or a whole block. Every thread of the team gets the result, and
// the order of additions is always the same.
#pragma once

#include "qkv/kernels/cuda/launch.h"

namespace qkv::kernels {

inline constexpr int warp_threads = 32;
inline constexpr unsigned whole_warp = 0xffffffffU;

struct Add {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Largest {
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

template <typename T, typename Op>
__device__ inline T reduce_warp(T value, Op op) {
#pragma unroll
  for (int step = warp_threads / 2; step > 0; step /= 2) value = op(value, __shfl_xor_sync(whole_warp, value, step));
  return value;
}

// `threads` is 32 (then each warp has a result of its own) or the size of the block, a multiple of 32.
template <int threads, typename T, typename Op>
__device__ inline T reduce(T value, Op op) {
  value = reduce_warp(value, op);
  if constexpr (threads > warp_threads) {
    constexpr int warps = threads / warp_threads;
    __shared__ T of_warp[warps];
    const int warp = static_cast<int>(threadIdx.x) / warp_threads;
    __syncthreads();  // results of the reduction before this one have been read
    if (threadIdx.x % warp_threads == 0) of_warp[warp] = value;
    __syncthreads();
    value = of_warp[0];
#pragma unroll
    for (int i = 1; i < warps; ++i) value = op(value, of_warp[i]);
  }
  return value;
}

}  // namespace qkv::kernels
