// Products of two bf16 or two f16 matrices on tensor cores, for where the library is missing or does not know how.
#pragma once

#include "qkv/kernels/kernels.h"

namespace qkv::kernels {

// Whether the product was of that kind, with rows aligned to 16 bytes, and has been done.
bool multiply_half(const Gemm& g);

}  // namespace qkv::kernels
