#include "qkv/kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/cpu/causal_conv.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/instruction_sets.h"
#include "qkv/kernels/cpu/dispatch.h"
#include "qkv/kernels/cpu/partial_rows.h"
#include "qkv/kernels/cpu/scratch.h"
#include "qkv/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {

struct ConvScratch;

// Calls body(first channel, channels) for each vector of channels.
template <typename Body>
HWY_INLINE void each_vector(int64_t width, const Body& body) {
  for (int64_t d = 0; d < width; d += lanes()) body(d, std::min(lanes(), width - d));
}

// weight [width, taps] as [taps][width], so that channels are vectors.
HWY_INLINE float* turned(const CausalConv& a) {
  float* by_tap = thread_scratch<ConvScratch>(a.taps * a.width);
  for (int64_t d = 0; d < a.width; ++d)
    for (int64_t j = 0; j < a.taps; ++j) by_tap[j * a.width + d] = a.weight[d * a.taps + j];
  return by_tap;
}

// Row t of sequence b; null where it is a row of zeros.
template <typename T>
HWY_INLINE const T* row_at(const CausalConv& a, int64_t b, int64_t t) {
  if (t >= 0) return static_cast<const T*>(a.x) + b * a.x_batch_stride + t * a.x_time_stride;
  return a.before == nullptr ? nullptr : static_cast<const T*>(a.before) + ((b + 1) * (a.taps - 1) + t) * a.width;
}

void causal_conv_on_target(const CausalConv& a) {
  const float* weight = turned(a);
  with_type(a.type, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    parallel_for(a.batch * a.time, std::max<int64_t>(1, elementwise_grain / std::max<int64_t>(1, a.width)),
                 [&](int64_t begin, int64_t end) HWY_ATTR {
                   for (int64_t i = begin; i < end; ++i) {
                     const int64_t b = i / a.time, t = i % a.time;
                     T* y = static_cast<T*>(a.y) + i * a.width;
                     each_vector(a.width, [&](int64_t d, int64_t count) HWY_ATTR {
                       V sum = a.bias == nullptr ? hn::Zero(F()) : load_at(a.bias, d, count);
                       for (int64_t j = 0; j < a.taps; ++j)
                         if (const T* x = row_at<T>(a, b, t - a.taps + 1 + j))
                           sum = hn::MulAdd(load_at(weight + j * a.width, d, count), load_at(x, d, count), sum);
                       store_at(sum, y, d, count);
                     });
                   }
                 });
  });
}

// Position i of all sequences: its dx, and what it adds to `sums` [taps + 1][width], the weights' gradient by tap and
// the bias'.
template <typename T>
HWY_INLINE void conv_backward_row(const CausalConvBackward& a, const float* weight, int64_t i, float* sums) {
  const CausalConv& f = a.forward;
  const int64_t b = i / f.time, t = i % f.time;
  const T* dy = static_cast<const T*>(a.dy) + i * f.width;
  T* dx = static_cast<T*>(a.dx) + i * f.width;
  each_vector(f.width, [&](int64_t d, int64_t count) HWY_ATTR {
    const V here = load_at(dy, d, count);
    V sum = hn::Zero(F());
    for (int64_t j = 0; j < f.taps && t + j < f.time; ++j)
      sum =
          hn::MulAdd(load_at(weight + (f.taps - 1 - j) * f.width, d, count), load_at(dy + j * f.width, d, count), sum);
    store_at(sum, dx, d, count);
    for (int64_t j = std::max<int64_t>(0, f.taps - 1 - t); j < f.taps; ++j) {
      float* total = sums + j * f.width;
      const V x = load_at(row_at<T>(f, b, t - f.taps + 1 + j), d, count);
      store_at(hn::MulAdd(here, x, load_at(total, d, count)), total, d, count);
    }
    float* total = sums + f.taps * f.width;
    store_at(hn::Add(here, load_at(total, d, count)), total, d, count);
  });
}

void causal_conv_backward_on_target(const CausalConvBackward& a) {
  const CausalConv& f = a.forward;
  const float* weight = turned(f);
  PartialRows parts(f.batch * f.time, elementwise_grain / std::max<int64_t>(1, f.width), (f.taps + 1) * f.width);
  with_type(f.type, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    parts.run([&](int64_t begin, int64_t end, float* sums) HWY_ATTR {
      for (int64_t i = begin; i < end; ++i) conv_backward_row<T>(a, weight, i, sums);
    });
  });
  std::vector<float> by_tap(static_cast<size_t>(f.taps * f.width));
  parts.add_to(by_tap.data(), 0, f.taps * f.width, false);
  for (int64_t d = 0; d < f.width; ++d)
    for (int64_t j = 0; j < f.taps; ++j) {
      float& out = a.dweight[d * f.taps + j];
      const float value = by_tap[static_cast<size_t>(j * f.width + d)];
      out = a.accumulate_weight ? out + value : value;
    }
  parts.add_to(a.dbias, f.taps * f.width, f.width, a.accumulate_bias);
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels::cpu_set {
QKV_EXPORT(causal_conv_on_target);
QKV_EXPORT(causal_conv_backward_on_target);
void causal_conv(const CausalConv& a) { QKV_DISPATCH(causal_conv_on_target)(a); }
void causal_conv_backward(const CausalConvBackward& a) { QKV_DISPATCH(causal_conv_backward_on_target)(a); }
}  // namespace qkv::kernels::cpu_set
#endif
