// Numbers that become another type where they are stored.
#pragma once

#include "qkv/kernels/blocks.h"
#include "qkv/kernels/cuda/number.h"
#include "qkv/kernels/cuda/reduce.h"

#include <type_traits>

namespace qkv::kernels {

template <typename To, typename From>
__device__ inline To converted(From x) {
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else if constexpr (std::is_integral_v<To>) {
    return static_cast<To>(x);
  } else if constexpr (std::is_integral_v<From>) {
    return from_float<To>(static_cast<float>(x));
  } else {
    return from_float<To>(to_float(x));
  }
}

// As quantize_q8_0(): lane i of a warp has number i of the block.
__device__ inline void quantize_in_warp(float x, int lane, BlockQ8_0& block) {
  const float largest = reduce_warp(fabsf(x) <= most_q8_0 ? fabsf(x) : INFINITY, Largest());
  const bool bounded = largest <= most_q8_0;
  const float inverse = bounded && largest > least_q8_0 ? 127 / largest : 0;
  block.codes[lane] = bounded ? static_cast<int8_t>(rintf(x * inverse)) : int8_t{0};
  if (lane == 0) block.d.bits = bounded ? from_float<f16>(largest / 127).bits : uint16_t{0x7e00};
}

}  // namespace qkv::kernels
