// Elementwise non-linearities.
#pragma once

#include "qkv/kernels/activation.h"
#include "qkv/ops/step_key.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

Tensor activate(const Tensor& x, Activation activation);

// Gated unit (Shazeer 2020): x[..., 2F], gate before up -> activation(gate) * up, [..., F].
Tensor gated(const Tensor& x, Activation activation);

// Inverted dropout with probability p of zeroing; the same key drops the same elements. p = 0 returns x.
Tensor dropout(const Tensor& x, float p, const StepKey& key);

// Over the last dimension.
Tensor softmax(const Tensor& x);
Tensor log_softmax(const Tensor& x);

}  // namespace qkv
