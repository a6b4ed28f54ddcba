#include "qkv/kernels/cuda/packed/product.h"

namespace qkv::kernels {

void multiply_large_blocks(const PackedGemm& g, const Rounded& a) {
  switch (g.type) {
    case DType::q2_k:
      return multiply_rounded<DType::q2_k>(g, a);
    case DType::q3_k:
      return multiply_rounded<DType::q3_k>(g, a);
    case DType::q4_k:
      return multiply_rounded<DType::q4_k>(g, a);
    case DType::q5_k:
      return multiply_rounded<DType::q5_k>(g, a);
    default:
      return multiply_rounded<DType::q6_k>(g, a);
  }
}

}  // namespace qkv::kernels
