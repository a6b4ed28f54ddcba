// CUDA C++'s words for kernels, so that a host's compiler takes them: what the language adds, and the functions of the
// device's library that kernels here use.
#pragma once

#include "qkv/cuda/emulated/threads.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __shared__ static  // one block runs at a time
#define threadIdx ::qkv::cuda::emulated::thread_place
#define blockIdx ::qkv::cuda::emulated::block_place
#define blockDim ::qkv::cuda::emulated::block_size
#define gridDim ::qkv::cuda::emulated::grid_size

inline void __syncthreads() { ::qkv::cuda::emulated::wait_for_block(); }
inline void __syncwarp(unsigned mask = 0xffffffffU) { ::qkv::cuda::emulated::share_in_warp(mask, nullptr, 0); }

namespace qkv::cuda::emulated {

// `value` of another lane, or, where there is none, of the lane that asks.
template <typename T>
T from_lane(unsigned mask, T value, int lane) {
  const int own = static_cast<int>(thread_place.x % 32);
  const std::byte* slots = share_in_warp(mask, &value, sizeof value);
  const bool there = lane >= 0 && lane < 32 && (mask >> lane & 1) != 0;
  T result;
  std::memcpy(&result, slots + static_cast<size_t>(there ? lane : own) * largest_share, sizeof result);
  return result;
}

}  // namespace qkv::cuda::emulated

// Lanes may be taken in groups of `width`.
template <typename T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
  const int own = static_cast<int>(threadIdx.x % 32);
  return ::qkv::cuda::emulated::from_lane(mask, value, own / width * width + lane % width);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int = 32) {
  return ::qkv::cuda::emulated::from_lane(mask, value, static_cast<int>(threadIdx.x % 32) ^ bits);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, int by, int width = 32) {
  const int own = static_cast<int>(threadIdx.x % 32);
  return ::qkv::cuda::emulated::from_lane(mask, value, own % width + by < width ? own + by : own);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, int by, int width = 32) {
  const int own = static_cast<int>(threadIdx.x % 32);
  return ::qkv::cuda::emulated::from_lane(mask, value, own % width >= by ? own - by : own);
}
inline unsigned __ballot_sync(unsigned mask, bool holds) {
  const std::byte* slots = ::qkv::cuda::emulated::share_in_warp(mask, &holds, sizeof holds);
  unsigned lanes = 0;
  for (int lane = 0; lane < 32; ++lane)
    if ((mask >> lane & 1) != 0 &&
        slots[static_cast<size_t>(lane) * ::qkv::cuda::emulated::largest_share] != std::byte{0})
      lanes |= 1U << lane;
  return lanes;
}

using std::max;
using std::min;
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline int __dp4a(int a, int b, int sum) {
  for (int i = 0; i < 32; i += 8) sum += static_cast<int8_t>(a >> i) * static_cast<int8_t>(b >> i);
  return sum;
}
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __ffs(unsigned x) { return x == 0 ? 0 : std::countr_zero(x) + 1; }
