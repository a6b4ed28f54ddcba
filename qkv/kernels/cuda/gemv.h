// Products of few rows, of A as it lies with B transposed: the weight is all that takes time.
#pragma once

#include "qkv/kernels/kernels.h"

namespace qkv::kernels {

// Whether the product was of that kind, and has been done.
bool multiply_few_rows(const Gemm& g);

}  // namespace qkv::kernels
