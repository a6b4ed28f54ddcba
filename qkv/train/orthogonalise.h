// The step that makes Muon: a matrix to the nearest orthogonal one, about.
#pragma once

#include "qkv/tensor/tensor.h"

namespace qkv {

// Five Newton-Schulz iterations X <- a X + (b A + c A^2) X, A = X X^T, from X = G / |G|, with the quintic coefficients
// of Jordan et al. (2024): all singular values end between about 0.7 and 1.2. G: f32 [m, n].
Tensor orthogonalise(const Tensor& g);

}  // namespace qkv
