// Loops over elements of arrays, by vectors where they are aligned; and kernels that are nothing else.
#pragma once

#include "qkv/kernels/cuda/number.h"

#include <algorithm>

namespace qkv::kernels {

// The elements, or vectors, of one thread: own, own + step, own + 2 step, ... It meets the same ones in every loop over
// an array, so that what it has written it may read again without a barrier.
struct Part {
  int64_t own, step;
};

// Calls body(j, value of each array at j) for the thread's elements.
template <bool vectors, typename Body, typename T, typename... More>
__device__ inline void for_each(Part part, int64_t count, Body&& body, const T* first, const More*... more) {
  int64_t begin = 0;
  if constexpr (vectors) {
    constexpr int n = vector_count<T>;
    begin = count / n * n;
    for (int64_t j = part.own * n; j < begin; j += part.step * n) {
      const auto each = [&](const auto&... values) {
#pragma unroll
        for (int i = 0; i < n; ++i) body(j + i, to_float(values.at[i])...);
      };
      each(load_vector<n>(first + j), load_vector<n>(more + j)...);
    }
  }
  for (int64_t j = begin + part.own; j < count; j += part.step) body(j, to_float(first[j]), to_float(more[j])...);
}

// to[j] = body(j, value of each array at j) for the thread's elements. `to` may be one of the arrays.
template <bool vectors, typename T, typename Body, typename... From>
__device__ inline void transform(Part part, T* to, int64_t count, Body&& body, const From*... from) {
  int64_t begin = 0;
  if constexpr (vectors) {
    constexpr int n = vector_count<T>;
    begin = count / n * n;
    for (int64_t j = part.own * n; j < begin; j += part.step * n) {
      const auto each = [&](const auto&... values) {
        Vector<T> results;
#pragma unroll
        for (int i = 0; i < n; ++i) results.at[i] = from_float<T>(body(j + i, to_float(values.at[i])...));
        return results;
      };
      store_vector<n>(to + j, each(load_vector<n>(from + j)...));
    }
  }
  for (int64_t j = begin + part.own; j < count; j += part.step) to[j] = from_float<T>(body(j, to_float(from[j])...));
}

inline constexpr int element_block = 256;             // threads a block
inline constexpr int64_t most_element_blocks = 4096;  // several times what any card runs at once

__device__ inline Part part_of_grid() {
  return {static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x, static_cast<int64_t>(gridDim.x) * blockDim.x};
}
inline Grid grid_for(int64_t threads) {
  return {std::min((threads + element_block - 1) / element_block, most_element_blocks)};
}

template <bool vectors, typename T, typename Body, typename... From>
__global__ void __launch_bounds__(element_block) map_elements(T* to, int64_t count, Body body, const From*... from) {
  transform<vectors>(part_of_grid(), to, count, body, from...);
}

// to[j] = body(j, value of each array at j) for j < count, in a kernel of its own.
template <typename T, typename Body, typename... From>
void map(const char* op, T* to, int64_t count, Body body, const From*... from) {
  if (vectors_at(type_of<T>, 0, {to, from...})) {
    const Grid grid = grid_for((count + vector_count<T> - 1) / vector_count<T>);
    launch(op, map_elements<true, T, Body, From...>, grid, element_block, 0, to, count, body, from...);
  } else {
    launch(op, map_elements<false, T, Body, From...>, grid_for(count), element_block, 0, to, count, body, from...);
  }
}

}  // namespace qkv::kernels
