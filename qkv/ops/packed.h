// Weights of linear layers in the layout that the device multiplies by fastest: for inference only.
#pragma once

#include "qkv/kernels/activation.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

// W [N, K], packed: a tensor of the same shape that only linear() takes. The values stay what they are: in blocks
// (q4_0, q8_0, ...), f32 or bf16.
Tensor packed(const Tensor& weight);

// The same of f32 or bf16, with rows rounded to integers with a scale each (type i8): linear() then rounds its input
// likewise, and y = s_x s_w sum q_x q_w + b. With `outlier` > 0, columns of the input that hold a larger value are
// multiplied unrounded (LLM.int8(), Dettmers et al. 2022, arXiv 2208.07339).
Tensor packed_int8(const Tensor& weight, float outlier = 0);

// y[..., N] = activation(Q(x)[..., K] W^T + b): see kernels::PackedGemm. W is packed; x: f32 or bf16, and y has its
// dtype. There are no gradients: throws Error when one is wanted.
Tensor packed_linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Activation activation);

}  // namespace qkv
