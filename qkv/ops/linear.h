// Linear maps.
#pragma once

#include "qkv/kernels/activation.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

// y[..., N] = activation(x[..., K] W[N, K]^T + b[N]). W: f32, bf16, f16, blocks or packed (ops/packed.h), the last two
// without a gradient; b: f32, may be undefined. The result has x's dtype; where x has 16 bits and W is f32, W's copy
// is used (half_of) and W's gradient is f32.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Activation activation = Activation::none);

Tensor widened(const Tensor& x, int64_t width);  // x [N, 1] repeated to [N, width]

}  // namespace qkv
