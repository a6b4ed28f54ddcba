#include "qkv/kernels/cuda/packed/product.h"

namespace qkv::kernels {

void multiply_integers(const PackedGemm& g, const Rounded& a) { multiply_rounded<DType::i8>(g, a); }

}  // namespace qkv::kernels
