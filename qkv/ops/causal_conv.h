// Convolution along time, each channel for itself.
#pragma once

#include "qkv/tensor/tensor.h"

namespace qkv {

// y[b,t,d] = bias[d] + sum_j weight[d,0,j] x[b, t - taps + 1 + j, d]: a position sees itself and the taps - 1 before
// it. x [B,T,D], the last dimension dense; weight f32 [D,1,taps]; bias f32 [D] or undefined. -> [B,T,D]. Before
// position 0 stand zeros or, where it is given, the rows of `before` [B, taps - 1, D]; then nothing is recorded for
// gradients.
Tensor causal_conv(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& before = {});

}  // namespace qkv
