#include "qkv/kernels/cuda/attention/forward.h"

namespace qkv::kernels::cuda_set {

void attention_bf16(const Calls& calls) {
  const int64_t head_dim = calls.at[0].head_dim;
  if (head_dim <= 64) return start_attention<TensorCoreTiles<64, 64>>(calls);
  if (head_dim <= 96) return start_attention<TensorCoreTiles<96, 64>>(calls);
  if (head_dim <= 128) return start_attention<TensorCoreTiles<128, 64>>(calls);
  start_attention<TensorCoreTiles<256, 32>>(calls);
}

}  // namespace qkv::kernels::cuda_set
