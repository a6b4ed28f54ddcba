// Matrix products through NVIDIA's cuBLASLt, which is looked for when the first product wants it.
#pragma once

#include "qkv/kernels/kernels.h"

namespace qkv::kernels {

bool has_cublaslt();

// Whether the library did the product. Not where there is no library, a product of a kind that it does not know, or one
// for which it knows no algorithm. A and B: of one compute type, dense; C: of it, or f32. bias has C's
// type. Of activations, it takes those of cublaslt_has().
// f32 is multiplied in full precision, or, where tf32() says so (tensor/device.h), in tf32.
bool multiply_by_cublaslt(const Gemm& a, const void* bias);
bool cublaslt_has(Activation activation);

}  // namespace qkv::kernels
