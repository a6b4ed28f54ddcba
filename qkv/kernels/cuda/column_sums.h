// Sums over rows, in two steps whose order of additions follows from the sizes alone: groups of rows leave partial sums
// of their own, which are then added.
#pragma once

#include <cstdint>

namespace qkv::kernels {

// Partial sums of `groups` groups: of column j of group g at partials[g * ld + j].
struct PartialSums {
  const float* partials = nullptr;
  int64_t groups = 0, ld = 0;
};

// out[j] = sum_g partials[g,j] (+ out[j] when accumulate), j < width.
void add_partial_sums(const char* op, const PartialSums& sums, int64_t width, float* out, bool accumulate);

}  // namespace qkv::kernels
