// Kernels that work on rows: a team of threads takes a row. What they read twice comes from the caches the second time.
#pragma once

#include "qkv/kernels/cuda/elements.h"
#include "qkv/kernels/cuda/reduce.h"

#include <type_traits>

namespace qkv::kernels {

inline constexpr int row_block = 256;  // threads a block

// The row of the calling thread's team; rows beyond the last are for nobody.
template <int team>
__device__ inline int64_t own_row() {
  return static_cast<int64_t>(blockIdx.x) * (row_block / team) + threadIdx.x / team;
}

// What of its row is the calling thread's.
template <int team>
__device__ inline Part part_of_row() {
  return {static_cast<int64_t>(threadIdx.x % team), team};
}

// Calls start(team, vectors, grid), team and vectors being constants, for a kernel on `rows` rows: a warp takes a short
// row, a block a long one.
template <typename Start>
void with_teams(int64_t rows, int64_t width, bool aligned, Start&& start) {
  constexpr int64_t short_row = 1024;
  const auto choose = [&](auto vectors) {
    if (width <= short_row) {
      constexpr int teams = row_block / warp_threads;
      start(std::integral_constant<int, warp_threads>(), vectors, Grid{(rows + teams - 1) / teams});
    } else {
      start(std::integral_constant<int, row_block>(), vectors, Grid{rows});
    }
  };
  if (aligned) {
    choose(std::true_type());
  } else {
    choose(std::false_type());
  }
}

// The same with T() of the compute type first.
template <typename Start>
void with_rows(DType type, int64_t rows, int64_t width, bool aligned, Start&& start) {
  with_type(type, [&]<typename T>(T) {
    with_teams(rows, width, aligned, [&](auto team, auto vectors, Grid grid) { start(T(), team, vectors, grid); });
  });
}

}  // namespace qkv::kernels
