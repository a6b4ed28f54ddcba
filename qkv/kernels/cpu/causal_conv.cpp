#include "qkv/kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/cpu/causal_conv.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/dispatch.h"
#include "qkv/kernels/cpu/scratch.h"
#include "qkv/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {

struct ConvScratch;

// Calls body(first channel, channels) for each vector of channels of [begin, end).
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
  return a.before == nullptr ? nullptr
                             : static_cast<const T*>(a.before) + ((b + 1) * (a.taps - 1) + t) * a.width;
}

void causal_conv_on_target(const CausalConv& a) {
  const float* weight = turned(a);
  with_type(a.type, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    parallel_for(
        a.batch * a.time, std::max<int64_t>(1, elementwise_grain / std::max<int64_t>(1, a.width)),
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

// The channels [d, d + count): every gradient of theirs, over all sequences and positions.
template <typename T>
void conv_backward_vector(const CausalConvBackward& a, const float* weight, int64_t d, int64_t count) {
  const CausalConv& f = a.forward;
  const auto dy_at = [&](int64_t b, int64_t t) HWY_ATTR {
    return load_at(static_cast<const T*>(a.dy) + (b * f.time + t) * f.width, d, count);
  };
  HWY_ALIGN float lane[HWY_MAX_BYTES / sizeof(float)];
  for (int64_t j = 0; j < f.taps; ++j) {
    V sum = hn::Zero(F());
    for (int64_t b = 0; b < f.batch; ++b)
      for (int64_t t = f.taps - 1 - j; t < f.time; ++t)
        sum = hn::MulAdd(dy_at(b, t), load_at(row_at<T>(f, b, t - f.taps + 1 + j), d, count), sum);
    store(sum, lane);
    for (int64_t i = 0; i < count; ++i) {
      float& out = a.dweight[(d + i) * f.taps + j];
      out = a.accumulate_weight ? out + lane[i] : lane[i];
    }
  }
  V total = hn::Zero(F());
  for (int64_t b = 0; b < f.batch; ++b)
    for (int64_t t = 0; t < f.time; ++t) {
      V sum = hn::Zero(F());
      for (int64_t j = 0; j < f.taps && t + j < f.time; ++j)
        sum = hn::MulAdd(load_at(weight + (f.taps - 1 - j) * f.width, d, count), dy_at(b, t + j), sum);
      store_at(sum, static_cast<T*>(a.dx) + (b * f.time + t) * f.width, d, count);
      total = hn::Add(total, dy_at(b, t));
    }
  if (a.dbias != nullptr)
    store_at(a.accumulate_bias ? hn::Add(total, load_at(a.dbias, d, count)) : total, a.dbias, d, count);
}

void causal_conv_backward_on_target(const CausalConvBackward& a) {
  const CausalConv& f = a.forward;
  const float* weight = turned(f);
  const int64_t blocks = (f.width + lanes() - 1) / lanes();
  with_type(f.type, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    parallel_for(blocks, 1, [&](int64_t begin, int64_t end) HWY_ATTR {
      for (int64_t d = begin * lanes(); d < std::min(end * lanes(), f.width); d += lanes())
        conv_backward_vector<T>(a, weight, d, std::min(lanes(), f.width - d));
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels::cpu_set {
HWY_EXPORT(causal_conv_on_target);
HWY_EXPORT(causal_conv_backward_on_target);
void causal_conv(const CausalConv& a) { HWY_DYNAMIC_DISPATCH(causal_conv_on_target)(a); }
void causal_conv_backward(const CausalConvBackward& a) { HWY_DYNAMIC_DISPATCH(causal_conv_backward_on_target)(a); }
}  // namespace qkv::kernels::cpu_set
#endif
