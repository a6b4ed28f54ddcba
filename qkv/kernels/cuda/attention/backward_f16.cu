#include "qkv/kernels/cuda/attention/backward.h"

namespace qkv::kernels::cuda_set {

void dq_f16(const Gradients& g) { start_dq<f16>(g); }
void dk_dv_f16(const Gradients& g) { start_dk_dv<f16>(g); }

}  // namespace qkv::kernels::cuda_set
