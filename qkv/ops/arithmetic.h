// Elementwise arithmetic.
#pragma once

#include "qkv/tensor/tensor.h"

namespace qkv {

// a + b. b has a's shape, or its trailing dimensions (then it is repeated over the leading ones). Same dtype.
Tensor add(const Tensor& a, const Tensor& b);
Tensor multiply(const Tensor& a, const Tensor& b);           // b likewise
Tensor subtract(const Tensor& a, const Tensor& b);           // same shapes
Tensor mask_positions(const Tensor& x, const Tensor& mask);  // x[B,T,D], zeros where mask u8 [B,T] is 0
Tensor scale(const Tensor& x, float factor);
Tensor sum(const Tensor& x);  // of all elements: an f32 scalar

}  // namespace qkv
