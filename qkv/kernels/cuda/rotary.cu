#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/number.h"

namespace qkv::kernels::cuda_set {
namespace {

constexpr int threads = 256;

// A thread turns a pair, or copies one of the numbers behind them.
template <typename T>
__global__ void __launch_bounds__(threads) rotate(Rotary a) {
  const int64_t half = a.rotary_dim / 2;
  const int64_t of_head = a.head_dim - half;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  const int64_t head = index / of_head, i = index % of_head;
  const int64_t row = head / a.heads, h = head % a.heads;
  if (row >= a.batch * a.time) return;
  const int64_t b = row / a.time, t = row % a.time;
  const T* x = static_cast<const T*>(a.x.data) + b * a.x.batch_stride + t * a.x.time_stride + h * a.x.head_stride;
  T* out = static_cast<T*>(a.out.data) + b * a.out.batch_stride + t * a.out.time_stride + h * a.out.head_stride;
  if (i >= half) {
    out[i + half] = x[i + half];
    return;
  }
  const int64_t first = a.interleaved ? 2 * i : i;
  const int64_t second = a.interleaved ? 2 * i + 1 : i + half;
  const int64_t angle = a.positions[row] * half + i;
  const float c = a.cosine[angle];
  const float s = a.inverse ? -a.sine[angle] : a.sine[angle];
  const float before = to_float(x[first]), behind = to_float(x[second]);
  out[first] = from_float<T>(before * c - behind * s);
  out[second] = from_float<T>(before * s + behind * c);
}

}  // namespace

void rotary(const Rotary& a) {
  const int64_t count = a.batch * a.time * a.heads * (a.head_dim - a.rotary_dim / 2);
  with_type(a.type, [&](auto type) {
    launch("rotary", rotate<decltype(type)>, {(count + threads - 1) / threads}, threads, 0, a);
  });
}

}  // namespace qkv::kernels::cuda_set
