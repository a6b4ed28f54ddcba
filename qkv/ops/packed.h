// Weights of linear layers in the layout that the device multiplies by fastest: for inference only.
#pragma once

#include "qkv/kernels/activation.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

// W [N, K], packed: a tensor of the same shape that only linear() takes. `type` is W's own, where the values stay what
// they are (in blocks such as q4_0, f32 or bf16), or i8: see packed_int8(). It lies at `offset` of `memory`, a multiple
// of 64, and takes packed_bytes() of it: the weights of a model stand in one block of memory, which the system can give
// in large pages, however small each of them is. Numbers of bf16 are kept without loss in 12 bits each where their
// exponents allow it; where they do not, W gets memory of its own.
Tensor packed_in(const std::shared_ptr<Storage>& memory, size_t offset, const Tensor& weight, DType type,
                 float outlier = 0);
size_t packed_bytes(const Tensor& weight, DType type);  // a multiple of 64

// The same in memory of its own.
Tensor packed(const Tensor& weight);

// The same of f32 or bf16, with rows rounded to integers with a scale each (type i8): linear() then rounds its input
// likewise, and y = s_x s_w sum q_x q_w + b. With `outlier` > 0, columns of the input that hold a larger value are
// multiplied unrounded (LLM.int8(), Dettmers et al. 2022, arXiv 2208.07339).
Tensor packed_int8(const Tensor& weight, float outlier = 0);

// W in blocks, where it lies, for a few products that are to be those of the packed weight: it takes no memory and no
// time, but each product rearranges all of W on the way. Elsewhere it remains the tensor that it is.
Tensor packed_in_place(const Tensor& weight);

// y[..., N] = activation(Q(x)[..., K] W^T + b): see kernels::PackedGemm. W is packed; x: f32 or bf16, and y has its
// dtype. There are no gradients: throws Error when one is wanted.
Tensor packed_linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Activation activation);

}  // namespace qkv
