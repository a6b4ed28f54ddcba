// A vector is `lanes()` channels side by side; a channel's dimensions are a loop inside.
#include "qkv/kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/cpu/moving_average.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/instruction_sets.h"
#include "qkv/kernels/cpu/dispatch.h"
#include "qkv/kernels/cpu/scratch.h"
#include "qkv/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {

struct AverageScratch;

// Channels [d, d + count) of a [width, states] array, turned to [states][lanes].
HWY_INLINE void turn_in(const float* from, int64_t states, int64_t d, int64_t count, float* to) {
  for (int64_t n = 0; n < states; ++n)
    for (int64_t i = 0; i < lanes(); ++i) to[n * lanes() + i] = i < count ? from[(d + i) * states + n] : 0.0F;
}
HWY_INLINE void turn_out(const float* from, int64_t states, int64_t d, int64_t count, float* to) {
  for (int64_t n = 0; n < states; ++n)
    for (int64_t i = 0; i < count; ++i) to[(d + i) * states + n] = from[n * lanes() + i];
}

// What a vector of channels works with, each [states][lanes]; h may have more of them, one a position.
struct Average {
  float *decay, *in, *out, *h;

  Average(const MovingAverage& a, int64_t d, int64_t count, int64_t more)
      : decay(thread_scratch<AverageScratch>((4 + more) * a.states * lanes())),
        in(decay + a.states * lanes()),
        out(in + a.states * lanes()),
        h(out + a.states * lanes()) {
    turn_in(a.decay, a.states, d, count, decay);
    turn_in(a.in, a.states, d, count, in);
    turn_in(a.out, a.states, d, count, out);
  }
};

// The first element of the row that step i of sequence b works on.
HWY_INLINE int64_t row_of(const MovingAverage& a, int64_t b, int64_t i) {
  return (b * a.time + (a.reversed ? a.time - 1 - i : i)) * a.width;
}

template <typename T>
HWY_INLINE void average_vector(const MovingAverage& a, int64_t b, int64_t d, int64_t count) {
  const int64_t L = lanes();
  const Average v(a, d, count, 0);
  for (int64_t n = 0; n < a.states; ++n)
    store(a.before == nullptr ? hn::Zero(F()) : load_at(a.before + (b * a.states + n) * a.width, d, count),
          v.h + n * L);
  for (int64_t i = 0; i < a.time; ++i) {
    const int64_t row = row_of(a, b, i);
    const V x = load_at(static_cast<const T*>(a.x) + row, d, count);
    T* y = static_cast<T*>(a.y) + row;
    V sum = a.add ? load_at(y, d, count) : hn::Zero(F());
    for (int64_t at = 0; at < a.states * L; at += L) {
      const V h = hn::MulAdd(load(v.decay + at), load(v.h + at), hn::Mul(load(v.in + at), x));
      store(h, v.h + at);
      sum = hn::MulAdd(load(v.out + at), h, sum);
    }
    store_at(sum, y, d, count);
  }
  for (int64_t n = 0; n < a.states && a.after != nullptr; ++n)
    store_at(load(v.h + n * L), a.after + (b * a.states + n) * a.width, d, count);
}

void moving_average_on_target(const MovingAverage& a) {
  const int64_t blocks = (a.width + lanes() - 1) / lanes();
  const int64_t grain = elementwise_grain / std::max<int64_t>(1, a.time * a.states * lanes());
  with_type(a.type, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    parallel_for(a.batch * blocks, std::max<int64_t>(1, grain), [&](int64_t begin, int64_t end) HWY_ATTR {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t d = i % blocks * lanes();
        average_vector<T>(a, i / blocks, d, std::min(lanes(), a.width - d));
      }
    });
  });
}

// Every gradient of channels [d, d + count), over all sequences.
template <typename T>
HWY_INLINE void average_backward_vector(const MovingAverageBackward& a, int64_t d, int64_t count) {
  const MovingAverage& f = a.forward;
  const int64_t step = f.states * lanes();
  const Average v(f, d, count, f.time + 4);
  float* g = v.h + (f.time + 1) * step;
  float* ddecay = g + step;
  float* din = ddecay + step;
  float* dout = din + step;
  std::fill_n(ddecay, 3 * step, 0.0F);
  for (int64_t b = 0; b < f.batch; ++b) {
    std::fill_n(v.h, step, 0.0F);
    std::fill_n(g, step, 0.0F);
    for (int64_t i = 0; i < f.time; ++i) {
      const V x = load_at(static_cast<const T*>(f.x) + row_of(f, b, i), d, count);
      for (int64_t at = 0; at < step; at += lanes())
        store(hn::MulAdd(load(v.decay + at), load(v.h + i * step + at), hn::Mul(load(v.in + at), x)),
              v.h + (i + 1) * step + at);
    }
    for (int64_t i = f.time - 1; i >= 0; --i) {
      const int64_t row = row_of(f, b, i);
      const V x = load_at(static_cast<const T*>(f.x) + row, d, count);
      const V dy = load_at(static_cast<const T*>(a.dy) + row, d, count);
      T* dx = static_cast<T*>(a.dx) + row;
      V sum = f.add ? load_at(dx, d, count) : hn::Zero(F());
      for (int64_t at = 0; at < step; at += lanes()) {
        const V here = hn::MulAdd(load(v.out + at), dy, load(g + at));
        store(hn::MulAdd(load(v.h + (i + 1) * step + at), dy, load(dout + at)), dout + at);
        store(hn::MulAdd(here, x, load(din + at)), din + at);
        store(hn::MulAdd(here, load(v.h + i * step + at), load(ddecay + at)), ddecay + at);
        sum = hn::MulAdd(here, load(v.in + at), sum);
        store(hn::Mul(here, load(v.decay + at)), g + at);
      }
      store_at(sum, dx, d, count);
    }
  }
  turn_out(ddecay, f.states, d, count, a.ddecay);
  turn_out(din, f.states, d, count, a.din);
  turn_out(dout, f.states, d, count, a.dout);
}

void moving_average_backward_on_target(const MovingAverageBackward& a) {
  const int64_t width = a.forward.width;
  with_type(a.forward.type, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    parallel_for((width + lanes() - 1) / lanes(), 1, [&](int64_t begin, int64_t end) HWY_ATTR {
      for (int64_t d = begin * lanes(); d < std::min(end * lanes(), width); d += lanes())
        average_backward_vector<T>(a, d, std::min(lanes(), width - d));
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels::cpu_set {
QKV_EXPORT(moving_average_on_target);
QKV_EXPORT(moving_average_backward_on_target);
void moving_average(const MovingAverage& a) { QKV_DISPATCH(moving_average_on_target)(a); }
void moving_average_backward(const MovingAverageBackward& a) { QKV_DISPATCH(moving_average_backward_on_target)(a); }
}  // namespace qkv::kernels::cpu_set
#endif
