#include "qkv/kernels/reference/element.h"
#include "qkv/kernels/reference/reference.h"

namespace qkv::kernels::reference_set {
namespace {

double input(const CausalConv& a, int64_t b, int64_t t, int64_t d) {
  if (t >= 0) return load(a.x, a.type, b * a.x_batch_stride + t * a.x_time_stride + d);
  return a.before == nullptr ? 0 : load(a.before, a.type, ((b + 1) * (a.taps - 1) + t) * a.width + d);
}

}  // namespace

void causal_conv(const CausalConv& a) {
  for (int64_t b = 0; b < a.batch; ++b)
    for (int64_t t = 0; t < a.time; ++t)
      for (int64_t d = 0; d < a.width; ++d) {
        double sum = a.bias == nullptr ? 0 : a.bias[d];
        for (int64_t j = 0; j < a.taps; ++j) sum += a.weight[d * a.taps + j] * input(a, b, t - a.taps + 1 + j, d);
        store(a.y, a.type, (b * a.time + t) * a.width + d, sum);
      }
}

void causal_conv_backward(const CausalConvBackward& a) {
  const CausalConv& f = a.forward;
  const auto dy = [&](int64_t b, int64_t t, int64_t d) { return load(a.dy, f.type, (b * f.time + t) * f.width + d); };
  for (int64_t b = 0; b < f.batch; ++b)
    for (int64_t t = 0; t < f.time; ++t)
      for (int64_t d = 0; d < f.width; ++d) {
        double sum = 0;
        for (int64_t j = 0; j < f.taps && t + j < f.time; ++j)
          sum += f.weight[d * f.taps + f.taps - 1 - j] * dy(b, t + j, d);
        store(a.dx, f.type, (b * f.time + t) * f.width + d, sum);
      }
  for (int64_t d = 0; d < f.width; ++d)
    for (int64_t j = -1; j < f.taps; ++j) {
      double sum = 0;
      for (int64_t b = 0; b < f.batch; ++b)
        for (int64_t t = 0; t < f.time; ++t) sum += dy(b, t, d) * (j < 0 ? 1 : input(f, b, t - f.taps + 1 + j, d));
      if (j < 0 && a.dbias == nullptr) continue;
      float& out = j < 0 ? a.dbias[d] : a.dweight[d * f.taps + j];
      const bool accumulate = j < 0 ? a.accumulate_bias : a.accumulate_weight;
      out = static_cast<float>(accumulate ? out + sum : sum);
    }
}

}  // namespace qkv::kernels::reference_set
