// The search for the scales and codes of a block that come nearest to given numbers.
#pragma once

#include "qkv/kernels/reference/block_fields.h"

namespace qkv::kernels {

// Fields with a small sum_i weight[i] (x[i] - value[i])^2 over block_length(format.type) numbers. The problem is not
// convex. Each group tries scales around the one that spans its numbers, and for the codes of each takes the scale (and
// low) of least squares; where a block has integers for its groups' scales, d and m follow from the largest, and each
// group then tries the integers beside its own.
BlockFields search_block(const BlockFormat& format, const float* x, const float* weight);

}  // namespace qkv::kernels
