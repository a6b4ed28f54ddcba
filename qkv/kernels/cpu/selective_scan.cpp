// A vector is `lanes()` channels side by side; a channel's states are a loop inside. Each value of exp is made once.
#include "qkv/kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/cpu/selective_scan.cpp"
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

struct ScanRates;
struct ScanHistory;

// A = -exp(log_a) as [states][width], in memory of the calling thread.
HWY_INLINE float* rates_of(const SelectiveScan& a) {
  float* rates = thread_scratch<ScanRates>(a.states * a.width);
  for (int64_t d = 0; d < a.width; ++d)
    for (int64_t n = 0; n < a.states; ++n) rates[n * a.width + d] = a.log_a[d * a.states + n];
  map(rates, rates, a.states * a.width, [](V x) HWY_ATTR { return hn::Neg(exp(x)); });
  return rates;
}

// Channels [d, d + count) of sequence `row`. `h` [states][lanes] is the state, before and after.
template <typename T>
HWY_INLINE void scan_vector(const SelectiveScan& a, const float* rates, int64_t row, int64_t d, int64_t count,
                            float* h) {
  const int64_t L = lanes();
  const V skip = load_at(a.skip, d, count);
  for (int64_t n = 0; n < a.states; ++n)
    store(a.before == nullptr ? hn::Zero(F()) : load_at(a.before + (row * a.states + n) * a.width, d, count),
          h + n * L);
  for (int64_t t = 0; t < a.time; ++t) {
    const int64_t place = row * a.time + t;
    const V x = load_at(static_cast<const T*>(a.x) + place * a.width, d, count);
    const V delta = load_at(static_cast<const T*>(a.delta) + place * a.width, d, count);
    const T* b = static_cast<const T*>(a.b) + place * a.ld;
    const T* c = static_cast<const T*>(a.c) + place * a.ld;
    const V drive = hn::Mul(delta, x);
    V y = hn::Mul(skip, x);
    for (int64_t n = 0; n < a.states; ++n) {
      const V decay = exp(hn::Mul(delta, load_at(rates + n * a.width, d, count)));
      const V now = hn::MulAdd(decay, load(h + n * L), hn::Mul(drive, splat(static_cast<float>(b[n]))));
      store(now, h + n * L);
      y = hn::MulAdd(splat(static_cast<float>(c[n])), now, y);
    }
    store_at(y, static_cast<T*>(a.y) + place * a.width, d, count);
  }
  for (int64_t n = 0; n < a.states && a.after != nullptr; ++n)
    store_at(load(h + n * L), a.after + (row * a.states + n) * a.width, d, count);
}

void selective_scan_on_target(const SelectiveScan& a) {
  const float* rates = rates_of(a);
  const int64_t blocks = (a.width + lanes() - 1) / lanes();
  const int64_t grain = elementwise_grain / std::max<int64_t>(1, a.time * a.states * lanes());
  with_type(a.type, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    parallel_for(a.batch * blocks, std::max<int64_t>(1, grain), [&](int64_t begin, int64_t end) HWY_ATTR {
      float* h = thread_scratch<ScanHistory>(a.states * lanes());
      for (int64_t i = begin; i < end; ++i) {
        const int64_t d = i % blocks * lanes();
        scan_vector<T>(a, rates, i / blocks, d, std::min(lanes(), a.width - d), h);
      }
    });
  });
}

// The history of a vector of channels: what the backward pass needs of the forward one.
struct History {
  float* h;      // [time + 1][states][lanes]
  float* decay;  // [time][states][lanes]
  float* g;      // [states][lanes]: the gradient of h
  float* da;     // [states][lanes]
  int64_t step;  // states * lanes

  History(int64_t time, int64_t states)
      : h(thread_scratch<ScanHistory>((2 * time + 3) * states * lanes())),
        decay(h + (time + 1) * states * lanes()),
        g(decay + time * states * lanes()),
        da(g + states * lanes()),
        step(states * lanes()) {}
};

template <typename T>
HWY_INLINE void fill_history(const SelectiveScan& a, const float* rates, int64_t row, int64_t d, int64_t count,
                             const History& history) {
  const int64_t L = lanes();
  std::fill_n(history.h, history.step, 0.0F);
  for (int64_t t = 0; t < a.time; ++t) {
    const int64_t place = row * a.time + t;
    const V delta = load_at(static_cast<const T*>(a.delta) + place * a.width, d, count);
    const V drive = hn::Mul(delta, load_at(static_cast<const T*>(a.x) + place * a.width, d, count));
    const T* b = static_cast<const T*>(a.b) + place * a.ld;
    for (int64_t n = 0; n < a.states; ++n) {
      const int64_t at = t * history.step + n * L;
      const V decay = exp(hn::Mul(delta, load_at(rates + n * a.width, d, count)));
      store(decay, history.decay + at);
      store(hn::MulAdd(decay, load(history.h + at), hn::Mul(drive, splat(static_cast<float>(b[n])))),
            history.h + at + history.step);
    }
  }
}

// Channels [d, d + count): dx and ddelta are written, the parameters' gradients too, B's and C's added to `shared`
// [batch, time, 2 states].
template <typename T>
void scan_backward_vector(const SelectiveScanBackward& s, const float* rates, int64_t d, int64_t count, float* shared) {
  const SelectiveScan& a = s.forward;
  const int64_t L = lanes();
  const History history(a.time, a.states);
  const V skip = load_at(a.skip, d, count);
  V dskip = hn::Zero(F());
  std::fill_n(history.da, history.step, 0.0F);
  for (int64_t row = 0; row < a.batch; ++row) {
    fill_history<T>(a, rates, row, d, count, history);
    std::fill_n(history.g, history.step, 0.0F);
    for (int64_t t = a.time - 1; t >= 0; --t) {
      const int64_t place = row * a.time + t;
      const V x = load_at(static_cast<const T*>(a.x) + place * a.width, d, count);
      const V delta = load_at(static_cast<const T*>(a.delta) + place * a.width, d, count);
      const V dy = load_at(static_cast<const T*>(s.dy) + place * a.width, d, count);
      const T* b = static_cast<const T*>(a.b) + place * a.ld;
      const T* c = static_cast<const T*>(a.c) + place * a.ld;
      float* db = shared + place * 2 * a.states;
      float* dc = db + a.states;
      const V drive = hn::Mul(delta, x);
      V ddrive = hn::Zero(F());
      V ddelta = hn::Zero(F());
      dskip = hn::MulAdd(x, dy, dskip);
      for (int64_t n = 0; n < a.states; ++n) {
        const int64_t at = t * history.step + n * L;
        const V g = hn::MulAdd(splat(static_cast<float>(c[n])), dy, load(history.g + n * L));
        dc[n] += sum_of(hn::Mul(load(history.h + at + history.step), dy));
        db[n] += sum_of(hn::Mul(g, drive));
        ddrive = hn::MulAdd(g, splat(static_cast<float>(b[n])), ddrive);
        const V carried = hn::Mul(g, load(history.decay + at));
        const V dexponent = hn::Mul(carried, load(history.h + at));
        ddelta = hn::MulAdd(dexponent, load_at(rates + n * a.width, d, count), ddelta);
        store(hn::MulAdd(dexponent, delta, load(history.da + n * L)), history.da + n * L);
        store(carried, history.g + n * L);
      }
      store_at(hn::MulAdd(ddrive, delta, hn::Mul(skip, dy)), static_cast<T*>(s.dx) + place * a.width, d, count);
      store_at(hn::MulAdd(ddrive, x, ddelta), static_cast<T*>(s.ddelta) + place * a.width, d, count);
    }
  }
  store_at(s.accumulate_skip ? hn::Add(dskip, load_at(s.dskip, d, count)) : dskip, s.dskip, d, count);
  for (int64_t n = 0; n < a.states; ++n)
    for (int64_t i = 0; i < count; ++i) {
      // d A / d log_a is A itself.
      const float value = history.da[n * L + i] * rates[n * a.width + d + i];
      float& out = s.dlog_a[(d + i) * a.states + n];
      out = s.accumulate_log_a ? out + value : value;
    }
}

void selective_scan_backward_on_target(const SelectiveScanBackward& s) {
  const SelectiveScan& a = s.forward;
  const float* rates = rates_of(a);
  const int64_t blocks = (a.width + lanes() - 1) / lanes();
  const int64_t steps = a.batch * a.time;
  // Every channel adds to the gradients of B and C: each part of the channels has sums of its own.
  PartialRows parts(blocks, 1, steps * 2 * a.states);
  with_type(a.type, [&](auto type) HWY_ATTR {
    using T = decltype(type);
    parts.run([&](int64_t begin, int64_t end, float* shared) HWY_ATTR {
      for (int64_t d = begin * lanes(); d < std::min(end * lanes(), a.width); d += lanes())
        scan_backward_vector<T>(s, rates, d, std::min(lanes(), a.width - d), shared);
    });
  });
  for (int64_t i = 0; i < steps; ++i) {
    parts.add_to(s.db + i * a.states, i * 2 * a.states, a.states, false);
    parts.add_to(s.dc + i * a.states, (2 * i + 1) * a.states, a.states, false);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels::cpu_set {
QKV_EXPORT(selective_scan_on_target);
QKV_EXPORT(selective_scan_backward_on_target);
void selective_scan(const SelectiveScan& a) { QKV_DISPATCH(selective_scan_on_target)(a); }
void selective_scan_backward(const SelectiveScanBackward& a) { QKV_DISPATCH(selective_scan_backward_on_target)(a); }
}  // namespace qkv::kernels::cpu_set
#endif
