// Products of a few rows with a stored [n,k] matrix: decoding. The matrix is read once; that is all the time it takes.
#pragma once

#include "qkv/kernels/kernels.h"

namespace qkv::kernels::cpu_set {

// Whether gemv takes this product: up to 8 rows, B transposed and dense enough, any mix of f32 and bf16.
bool gemv_fits(const Gemm& g);
void gemv(const Gemm& g);

}  // namespace qkv::kernels::cpu_set
