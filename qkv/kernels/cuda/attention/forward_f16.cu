#include "qkv/kernels/cuda/attention/forward.h"

namespace qkv::kernels::cuda_set {

void attention_f16(const Calls& calls) { start_on_tensor_cores<f16>(calls); }

}  // namespace qkv::kernels::cuda_set
