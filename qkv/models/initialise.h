// The values parameters start from.
#pragma once

#include "qkv/core/random.h"
#include "qkv/nn/module.h"

namespace qkv {

// Matrices and embeddings: normal(0, std). Scales: 1. Biases: 0.
void initialise_parameter(Tensor& value, Role role, float std, RandomKey key);

}  // namespace qkv
