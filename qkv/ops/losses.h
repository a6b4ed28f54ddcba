// Losses for regression and for several labels at once. (For vocabularies and classes: cross_entropy.h.)
#pragma once

#include "qkv/tensor/tensor.h"

namespace qkv {

// scale * sum (x - target)^2. Same number of elements; targets f32.
Tensor squared_error(const Tensor& x, const Tensor& targets, float scale);

// scale * sum of -[t log sigmoid(x) + (1 - t) log sigmoid(-x)] over all elements; targets f32, each 0 or 1.
Tensor binary_cross_entropy(const Tensor& x, const Tensor& targets, float scale);

}  // namespace qkv
