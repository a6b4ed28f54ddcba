// Kernels that work on rows: a team of threads takes a row, and each thread always the same of its elements, so that
// what it has written it may read again without a barrier. A row that is read twice in a kernel comes from the caches
// the second time.
#pragma once

#include "qkv/kernels/cuda/number.h"
#include "qkv/kernels/cuda/reduce.h"

#include <type_traits>

namespace qkv::kernels {

inline constexpr int row_block = 256;  // threads a block

// The row of the calling thread's team; rows beyond the last are for nobody.
template <int team>
__device__ inline int64_t own_row() {
  return static_cast<int64_t>(blockIdx.x) * (row_block / team) + threadIdx.x / team;
}

// Calls body(j, value of each array at j) for the thread's elements of a row.
template <int team, bool vectors, typename Body, typename T, typename... More>
__device__ inline void for_each(int64_t width, Body&& body, const T* row, const More*... more) {
  const int64_t own = threadIdx.x % team;
  if constexpr (vectors) {
    constexpr int count = vector_count<T>;
    for (int64_t j = own * count; j < width; j += int64_t{team} * count) {
      const auto each = [&](const auto&... values) {
#pragma unroll
        for (int i = 0; i < count; ++i) body(j + i, to_float(values.at[i])...);
      };
      each(load_vector<count>(row + j), load_vector<count>(more + j)...);
    }
  } else {
    for (int64_t j = own; j < width; j += team) body(j, to_float(row[j]), to_float(more[j])...);
  }
}

// to[j] = body(j, value of each array at j) for the thread's elements of a row. `to` may be one of the arrays.
template <int team, bool vectors, typename T, typename Body, typename... From>
__device__ inline void transform(T* to, int64_t width, Body&& body, const From*... from) {
  const int64_t own = threadIdx.x % team;
  if constexpr (vectors) {
    constexpr int count = vector_count<T>;
    for (int64_t j = own * count; j < width; j += int64_t{team} * count) {
      const auto each = [&](const auto&... values) {
        Vector<T> results;
#pragma unroll
        for (int i = 0; i < count; ++i) results.at[i] = from_float<T>(body(j + i, to_float(values.at[i])...));
        return results;
      };
      store_vector<count>(to + j, each(load_vector<count>(from + j)...));
    }
  } else {
    for (int64_t j = own; j < width; j += team) to[j] = from_float<T>(body(j, to_float(from[j])...));
  }
}

// Calls start(T(), team, vectors, grid), team and vectors being constants, for a kernel on `rows` rows: a warp takes a
// short row, a block a long one.
template <typename Start>
void with_rows(DType type, int64_t rows, int64_t width, bool aligned, Start&& start) {
  constexpr int64_t short_row = 1024;
  with_type(type, [&]<typename T>(T) {
    const auto choose = [&](auto vectors) {
      if (width <= short_row) {
        constexpr int teams = row_block / warp_threads;
        start(T(), std::integral_constant<int, warp_threads>(), vectors, Grid{(rows + teams - 1) / teams});
      } else {
        start(T(), std::integral_constant<int, row_block>(), vectors, Grid{rows});
      }
    };
    if (aligned) {
      choose(std::true_type());
    } else {
      choose(std::false_type());
    }
  });
}

}  // namespace qkv::kernels
