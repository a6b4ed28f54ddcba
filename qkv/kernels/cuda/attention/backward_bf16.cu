#include "qkv/kernels/cuda/attention/backward.h"

namespace qkv::kernels::cuda_set {

void dq_bf16(const Gradients& g) {
  const int64_t head_dim = g.call.forward.head_dim;
  if (head_dim <= 64) return start_gradient<TensorCoreTiles<64, 1, 64>, Collects::dq>(g);
  if (head_dim <= 96) return start_gradient<TensorCoreTiles<96, 1, 32>, Collects::dq>(g);
  if (head_dim <= 128) return start_gradient<TensorCoreTiles<128, 1, 32>, Collects::dq>(g);
  start_gradient<TensorCoreTiles<256, 1, 16>, Collects::dq>(g);
}

void dk_dv_bf16(const Gradients& g) {
  const int64_t head_dim = g.call.forward.head_dim;
  if (head_dim <= 64) return start_gradient<TensorCoreTiles<64, 1, 64>, Collects::dk_dv>(g);
  if (head_dim <= 96) return start_gradient<TensorCoreTiles<96, 1, 32>, Collects::dk_dv>(g);
  if (head_dim <= 128) return start_gradient<TensorCoreTiles<128, 1, 32>, Collects::dk_dv>(g);
  // The sums of both are more than a thread has registers for.
  start_gradient<TensorCoreTiles<256, 1, 16>, Collects::dk>(g);
  start_gradient<TensorCoreTiles<256, 1, 16>, Collects::dv>(g);
}

}  // namespace qkv::kernels::cuda_set
