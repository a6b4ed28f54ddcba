// Elementwise arithmetic.
#pragma once

#include "qkv/tensor/tensor.h"

namespace qkv {

// a + b. b has a's shape, or its trailing dimensions (then it is repeated over the leading ones). Same dtype.
Tensor add(const Tensor& a, const Tensor& b);
Tensor subtract(const Tensor& a, const Tensor& b);  // same shapes
Tensor multiply(const Tensor& a, const Tensor& b);  // same shapes
Tensor scale(const Tensor& x, float factor);
Tensor sum(const Tensor& x);  // of all elements: an f32 scalar

}  // namespace qkv
