#include "qkv/kernels/cuda/column_sums.h"
#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/elements.h"
#include "qkv/kernels/cuda/scratch.h"

namespace qkv::kernels::cuda_set {
namespace {

template <typename T>
__device__ inline float input(const CausalConv& a, int64_t b, int64_t t, int64_t d) {
  if (t >= 0) return to_float(static_cast<const T*>(a.x)[b * a.x_batch_stride + t * a.x_time_stride + d]);
  if (a.before == nullptr) return 0;
  return to_float(static_cast<const T*>(a.before)[((b + 1) * (a.taps - 1) + t) * a.width + d]);
}

// A thread takes an element; its neighbours have read most of what it reads.
template <typename T>
__global__ void __launch_bounds__(element_block) convolve(CausalConv a) {
  const Part part = part_of_grid();
  for (int64_t i = part.own; i < a.batch * a.time * a.width; i += part.step) {
    const int64_t d = i % a.width, row = i / a.width, t = row % a.time, b = row / a.time;
    float sum = a.bias == nullptr ? 0 : a.bias[d];
    for (int64_t j = 0; j < a.taps; ++j) sum += a.weight[d * a.taps + j] * input<T>(a, b, t - a.taps + 1 + j, d);
    static_cast<T*>(a.y)[i] = from_float<T>(sum);
  }
}

template <typename T>
__global__ void __launch_bounds__(element_block) convolve_back(CausalConvBackward a) {
  const CausalConv& f = a.forward;
  const T* dy = static_cast<const T*>(a.dy);
  const Part part = part_of_grid();
  for (int64_t i = part.own; i < f.batch * f.time * f.width; i += part.step) {
    const int64_t d = i % f.width, t = i / f.width % f.time;
    float sum = 0;
    for (int64_t j = 0; j < f.taps && t + j < f.time; ++j)
      sum += f.weight[d * f.taps + f.taps - 1 - j] * to_float(dy[i + j * f.width]);
    static_cast<T*>(a.dx)[i] = from_float<T>(sum);
  }
}

// Sums over a group of positions: of tap j of channel d at [d taps + j], of its bias at [width taps + d].
template <typename T>
__global__ void __launch_bounds__(element_block)
    sum_weight_gradients(CausalConvBackward a, int64_t group_rows, float* partials) {
  const CausalConv& f = a.forward;
  const int64_t d = static_cast<int64_t>(blockIdx.x) * element_block + threadIdx.x;
  if (d >= f.width) return;
  const int64_t begin = blockIdx.y * group_rows, rows = f.batch * f.time;
  const int64_t end = begin + group_rows < rows ? begin + group_rows : rows;
  float* const out = partials + blockIdx.y * f.width * (f.taps + 1);
  const T* dy = static_cast<const T*>(a.dy);
  for (int64_t j = -1; j < f.taps; ++j) {
    float sum = 0;
    for (int64_t row = begin; row < end; ++row) {
      const float x = j < 0 ? 1 : input<T>(f, row / f.time, row % f.time - f.taps + 1 + j, d);
      sum += to_float(dy[row * f.width + d]) * x;
    }
    out[j < 0 ? f.width * f.taps + d : d * f.taps + j] = sum;
  }
}

}  // namespace

void causal_conv(const CausalConv& a) {
  with_type(a.type, [&]<typename T>(T) {
    launch("causal_conv", convolve<T>, grid_for(a.batch * a.time * a.width), element_block, 0, a);
  });
}

void causal_conv_backward(const CausalConvBackward& a) {
  constexpr int64_t rows_of_group = 32, most_groups = 128;
  const CausalConv& f = a.forward;
  const int64_t rows = f.batch * f.time, weights = f.width * f.taps, ld = weights + f.width;
  const int64_t groups = std::clamp((rows + rows_of_group - 1) / rows_of_group, int64_t{1}, most_groups);
  const Scratch<float> partials(groups * ld);
  with_type(f.type, [&]<typename T>(T) {
    launch("causal_conv_backward", convolve_back<T>, grid_for(rows * f.width), element_block, 0, a);
    launch("causal_conv_backward", sum_weight_gradients<T>, Grid{(f.width + element_block - 1) / element_block, groups},
           element_block, 0, a, (rows + groups - 1) / groups, partials.data());
  });
  add_partial_sums("causal_conv_backward", {partials.data(), groups, ld}, weights, a.dweight, a.accumulate_weight);
  if (a.dbias != nullptr)
    add_partial_sums("causal_conv_backward", {partials.data() + weights, groups, ld}, f.width, a.dbias,
                     a.accumulate_bias);
}

}  // namespace qkv::kernels::cuda_set
