#include "qkv/kernels/cuda/packed/product.h"

namespace qkv::kernels {

void multiply_small_blocks(const PackedGemm& g, const Rounded& a) {
  switch (g.type) {
    case DType::q4_0:
      return multiply_rounded<DType::q4_0>(g, a);
    case DType::q4_1:
      return multiply_rounded<DType::q4_1>(g, a);
    case DType::q5_0:
      return multiply_rounded<DType::q5_0>(g, a);
    case DType::q5_1:
      return multiply_rounded<DType::q5_1>(g, a);
    case DType::q8_0:
      return multiply_rounded<DType::q8_0>(g, a);
    default:
      return multiply_rounded<DType::iq4_nl>(g, a);
  }
}

}  // namespace qkv::kernels
