#include "qkv/kernels/cuda/attention/forward.h"

namespace qkv::kernels::cuda_set {

void attention_f32(const Calls& calls) {
  const int64_t head_dim = calls.at[0].head_dim;
  if (head_dim <= 64) return start_attention<PlainTiles<64, 64, 32>>(calls);
  if (head_dim <= 128) return start_attention<PlainTiles<128, 64, 32>>(calls);
  start_attention<PlainTiles<256, 16, 16>>(calls);
}

}  // namespace qkv::kernels::cuda_set
