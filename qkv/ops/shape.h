// Operations that move or rename elements.
#pragma once

#include "qkv/tensor/tensor.h"

#include <vector>

namespace qkv {

Tensor contiguous(const Tensor& x);                   // dense copy where x is strided
Tensor clone(const Tensor& x);                        // a dense copy that shares nothing; not recorded
Tensor cast(const Tensor& x, DType dtype);            // between float types; the gradient is cast back
Tensor reshape(const Tensor& x, const Shape& shape);  // same elements in row-major order; x is made dense first

Tensor transpose(const Tensor& x, int a, int b);  // two dimensions swapped, in a dense copy

// Cuts dimension `dim` into consecutive views of the given lengths, which must add up to its size. The parts'
// gradients are written straight into one buffer, so that a fused projection costs no copy either way.
std::vector<Tensor> split(const Tensor& x, int dim, const std::vector<int64_t>& lengths);

// Joins along `dim`; all other sizes and the dtypes are equal.
Tensor concat(const std::vector<Tensor>& parts, int dim);

// Element `index` of dimension `dim`, which disappears: select(x[B,T,D], 1, 0) is the first position, [B,D].
Tensor select(const Tensor& x, int dim, int64_t index);

}  // namespace qkv
