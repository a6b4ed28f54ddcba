#include "qkv/kernels/cuda/attention/backward.h"

namespace qkv::kernels::cuda_set {

void dq_f32(const Gradients& g) {
  const int64_t head_dim = g.call.forward.head_dim;
  if (head_dim <= 64) return start_gradient<PlainTiles<64, 64, 32>, Collects::dq>(g);
  if (head_dim <= 128) return start_gradient<PlainTiles<128, 32, 32>, Collects::dq>(g);
  start_gradient<PlainTiles<256, 16, 16>, Collects::dq>(g);
}

void dk_dv_f32(const Gradients& g) {
  const int64_t head_dim = g.call.forward.head_dim;
  if (head_dim <= 64) return start_gradient<PlainTiles<64, 64, 32>, Collects::dk_dv>(g);
  if (head_dim <= 128) return start_gradient<PlainTiles<128, 32, 32>, Collects::dk_dv>(g);
  start_gradient<PlainTiles<256, 16, 16>, Collects::dk_dv>(g);
}

}  // namespace qkv::kernels::cuda_set
