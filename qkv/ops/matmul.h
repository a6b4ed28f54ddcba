// Products of many pairs of matrices.
#pragma once

#include "qkv/tensor/tensor.h"

namespace qkv {

// c[.., M, N] = a[.., M, K] b[.., K, N], or, transposed, a[.., M, K] b[.., N, K]^T, for each index of the leading
// dimensions, which are equal. Same dtype.
Tensor matmul(const Tensor& a, const Tensor& b);
Tensor matmul_transposed(const Tensor& a, const Tensor& b);

}  // namespace qkv
