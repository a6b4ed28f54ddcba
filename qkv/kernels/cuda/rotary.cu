#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/number.h"

namespace qkv::kernels::cuda_set {
namespace {

constexpr int threads = 256;

// A block has one position. A thread turns pairs, and copies the numbers behind them.
template <typename T>
__global__ void __launch_bounds__(threads) rotate(Rotary a) {
  const int half = static_cast<int>(a.rotary_dim) / 2;
  const int of_head = static_cast<int>(a.head_dim) - half;
  const int64_t row = blockIdx.x, b = row / a.time, t = row % a.time;
  const float* cosine = a.cosine + a.positions[row] * static_cast<int64_t>(half);
  const float* sine = a.sine + a.positions[row] * static_cast<int64_t>(half);
  const T* x = static_cast<const T*>(a.x.data) + b * a.x.batch_stride + t * a.x.time_stride;
  T* out = static_cast<T*>(a.out.data) + b * a.out.batch_stride + t * a.out.time_stride;
  for (int j = static_cast<int>(threadIdx.x); j < static_cast<int>(a.heads) * of_head; j += threads) {
    const int h = j / of_head, i = j % of_head;
    const T* from = x + h * a.x.head_stride;
    T* to = out + h * a.out.head_stride;
    if (i >= half) {
      to[i + half] = from[i + half];
      continue;
    }
    const int first = a.interleaved ? 2 * i : i;
    const int second = a.interleaved ? 2 * i + 1 : i + half;
    const float c = cosine[i];
    const float s = a.inverse ? -sine[i] : sine[i];
    const float before = to_float(from[first]), behind = to_float(from[second]);
    to[first] = from_float<T>(before * c - behind * s);
    to[second] = from_float<T>(before * s + behind * c);
  }
}

}  // namespace

void rotary(const Rotary& a) {
  with_type(a.type, [&](auto type) { launch("rotary", rotate<decltype(type)>, {a.batch * a.time}, threads, 0, a); });
}

}  // namespace qkv::kernels::cuda_set
