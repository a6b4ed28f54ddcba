// Inputs of tests.
#pragma once

#include "qkv/tensor/tensor.h"

#include <vector>

namespace qkv {

// A batch of one row.
inline Tensor ids_of(const std::vector<int32_t>& ids) { return Tensor::from<int32_t>({1, std::ssize(ids)}, ids); }

}  // namespace qkv
