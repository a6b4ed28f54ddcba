// Recurrences along time: every channel d of a sequence has `states` numbers that follow from those before. Lanes of a
// warp share a channel: each holds the states lane, lane + lanes, ...
// Backward passes run through time twice: forward, keeping the states at the beginning of every chunk of positions, and
// back, chunk by chunk, finding a chunk's states anew from its beginning.
#pragma once

#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/number.h"
#include "qkv/kernels/cuda/reduce.h"

namespace qkv::kernels {

inline constexpr int channel_block = 256;  // threads a block

// Where the calling thread stands: blockIdx.x is the sequence, of which there may be more than blocks along y.
template <int lanes, int held>
struct Channel {
  static constexpr int of_block = channel_block / lanes;
  static constexpr int chunk = 16 / held;  // positions
  int64_t width, states;
  int64_t b = blockIdx.x;
  int lane = static_cast<int>(threadIdx.x) % lanes;
  int64_t d = static_cast<int64_t>(blockIdx.y) * of_block + threadIdx.x / lanes;

  __device__ Channel(int64_t all_channels, int64_t all_states) : width(all_channels), states(all_states) {}

  // Threads beyond the last channel, and lanes beyond the last state, take part in sums with zeros.
  __device__ bool there() const { return d < width; }
  __device__ int64_t state(int i) const { return lane + i * lanes; }
  __device__ bool has(int i) const { return there() && state(i) < states; }
  // Of state i in arrays [width, states] and [batch, states, width].
  __device__ int64_t parameter(int i) const { return d * states + state(i); }
  __device__ int64_t kept(int i, int64_t row) const { return (row * states + state(i)) * width + d; }

  __device__ float sum(float value) const {
#pragma unroll
    for (int step = lanes / 2; step > 0; step /= 2) value += __shfl_xor_sync(whole_warp, value, step);
    return value;
  }
};

// Calls start(lanes, held) with constants.
template <typename Start>
void with_lanes(const char* op, int64_t states, Start&& start) {
  const auto call = [&]<int lanes, int held>() {
    start(std::integral_constant<int, lanes>(), std::integral_constant<int, held>());
  };
  if (states <= 4) return call.template operator()<4, 1>();
  if (states <= 16) return call.template operator()<16, 1>();
  if (states <= 32) return call.template operator()<32, 1>();
  if (states <= 64) return call.template operator()<32, 2>();
  if (states <= 256) return call.template operator()<32, 8>();
  cuda_set::refuse(op, "a channel has more than 256 states");
}

template <int lanes>
Grid grid_of_channels(int64_t width, int64_t batch) {
  constexpr int channels = channel_block / lanes;
  return {batch, (width + channels - 1) / channels};
}

}  // namespace qkv::kernels
