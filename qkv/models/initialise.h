// The values parameters start from.
#pragma once

#include "qkv/core/random.h"
#include "qkv/nn/module.h"

namespace qkv {

// Fills `value` as its role says (nn/module.h); `std` is that of matrices and embeddings.
void initialise_parameter(Tensor& value, Role role, float std, RandomKey key);

}  // namespace qkv
