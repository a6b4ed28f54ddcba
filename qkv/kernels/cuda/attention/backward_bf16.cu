#include "qkv/kernels/cuda/attention/backward.h"

namespace qkv::kernels::cuda_set {

void dq_bf16(const Gradients& g) { start_dq<bf16>(g); }
void dk_dv_bf16(const Gradients& g) { start_dk_dv<bf16>(g); }

}  // namespace qkv::kernels::cuda_set
