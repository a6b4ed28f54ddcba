// Matrix products through NVIDIA's cuBLASLt, which is looked for when the first product wants it.
#pragma once

#include "qkv/kernels/kernels.h"

namespace qkv::kernels {

bool has_cublaslt();

// Whether the library did the product. Not where there is no library, a product of a kind that it does not know, or one
// for which it knows no algorithm. A and B: both f32 or both bf16, dense; C: f32, or bf16 where they are. bias has C's
// type. Of activations, it takes those of cublaslt_has().
// f32 is multiplied in full precision, or, with QKV_TF32=1 in the environment, in tf32.
bool multiply_by_cublaslt(const Gemm& a, const void* bias);
bool cublaslt_has(Activation activation);

}  // namespace qkv::kernels
