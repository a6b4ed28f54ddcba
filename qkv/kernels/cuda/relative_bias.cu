#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/launch.h"

namespace qkv::kernels::cuda_set {
namespace {

constexpr int threads = 128;
constexpr float hidden = -1e30F;

// A block has one query of one head.
__global__ void __launch_bounds__(threads) read_bias(RelativeBias a) {
  const int64_t index = blockIdx.x;
  const int64_t t = index % a.queries, h = index / a.queries % a.heads, b = index / a.queries / a.heads;
  const int32_t* places = a.places + b * a.places_batch_stride + t * a.keys;
  float* bias = a.bias + index * a.keys;
  for (int64_t s = threadIdx.x; s < a.keys; s += threads) {
    float value = hidden;
    if (places[s] >= 0) {
      const int64_t row = a.by_key ? b * a.keys + s : b * a.queries + t;
      value = a.scale * a.scores[(row * a.heads + h) * a.positions + places[s]];
    }
    bias[s] = a.accumulate ? bias[s] + value : value;
  }
}

// A block has the scores of one row and head; what is read there is spread along the other side, whose places and
// gradients pass by in shared memory. A thread sums up positions of its own, in order.
__global__ void __launch_bounds__(threads) collect_scores(RelativeBiasBackward g) {
  __shared__ int32_t places[threads];
  __shared__ float gradients[threads];
  const RelativeBias& a = g.forward;
  const int64_t rows = a.by_key ? a.keys : a.queries, others = a.by_key ? a.queries : a.keys;
  const int64_t h = blockIdx.x % a.heads, row = blockIdx.x / a.heads % rows, b = blockIdx.x / a.heads / rows;
  float* const out = g.dscores + static_cast<int64_t>(blockIdx.x) * a.positions;
  for (int64_t first = 0; first < a.positions; first += threads) {
    const int64_t own = first + threadIdx.x;
    float sum = 0;
    for (int64_t begin = 0; begin < others; begin += threads) {
      const int64_t other = begin + threadIdx.x;
      __syncthreads();
      if (other < others) {
        const int64_t t = a.by_key ? other : row, s = a.by_key ? row : other;
        places[threadIdx.x] = a.places[b * a.places_batch_stride + t * a.keys + s];
        gradients[threadIdx.x] = g.dbias[((b * a.heads + h) * a.queries + t) * a.keys + s];
      }
      __syncthreads();
      const int count = static_cast<int>(others - begin < threads ? others - begin : threads);
      for (int i = 0; i < count; ++i)
        if (places[i] == own) sum += gradients[i];
    }
    if (own < a.positions) out[own] = a.scale * sum;
  }
}

}  // namespace

void relative_bias(const RelativeBias& a) {
  launch("relative_bias", read_bias, {a.batch * a.heads * a.queries}, threads, 0, a);
}

void relative_bias_backward(const RelativeBiasBackward& g) {
  const RelativeBias& a = g.forward;
  launch("relative_bias_backward", collect_scores, {a.batch * (a.by_key ? a.keys : a.queries) * a.heads}, threads, 0,
         g);
}

}  // namespace qkv::kernels::cuda_set
