// Normalisation over the last dimension, with the residual addition fused in.
#pragma once

#include "qkv/tensor/tensor.h"

namespace qkv {

// Layer norm (Ba et al. 2016): (x - mean) / sqrt(var + eps) * weight + bias. weight, bias: f32 [D]; bias may be
// undefined.
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, float eps);

// RMS norm (Zhang & Sennrich 2019): x / sqrt(mean(x^2) + eps) * weight.
Tensor rms_norm(const Tensor& x, const Tensor& weight, float eps);

// sum = x + residual and y = norm(sum), in one pass.
struct AddNorm {
  Tensor sum;
  Tensor y;
};
AddNorm add_layer_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias, float eps);
AddNorm add_rms_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, float eps);

}  // namespace qkv
