#include "qkv/kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/cpu/optimizers.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/instruction_sets.h"
#include "qkv/kernels/cpu/dispatch.h"
#include "qkv/kernels/cpu/vector-inl.h"

#include <cmath>

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {

// Where a group's tensors lie one behind another, so that a thread's share may begin and end inside any of them.
template <typename Body>
void over_all(std::span<const OptimizerTensor> tensors, const Clipping& clipping, const Body& body) {
  if (clipping.skips()) return;
  int64_t total = 0;
  for (const OptimizerTensor& tensor : tensors) total += tensor.count;
  parallel_for(total, elementwise_grain, [&](int64_t begin, int64_t end) HWY_ATTR {
    int64_t at = 0;
    for (const OptimizerTensor& tensor : tensors) {
      const int64_t from = std::max<int64_t>(0, begin - at);
      const int64_t to = std::min(tensor.count, end - at);
      at += tensor.count;
      if (from >= to) continue;
      OptimizerTensor part = tensor;
      part.count = to - from;
      part.parameter += from;
      part.gradient += from;
      if (part.first != nullptr) part.first += from;
      if (part.second != nullptr) part.second += from;
      if (part.half != nullptr) part.half += from;
      body(part, from);
    }
  });
}

// Calls step(i, count, parameter, gradient) for each vector of a tensor's part, `from` elements behind its beginning,
// and stores the parameter it returns.
template <typename Step>
HWY_INLINE void for_each_vector(const OptimizerTensor& t, int64_t from, const StepNumbers& now,
                                const Clipping& clipping, const Step& step) {
  const V factor = splat(clipping.factor());
  for (int64_t i = 0; i < t.count; i += lanes()) {
    const int64_t count = std::min(lanes(), t.count - i);
    const V p = step(i, count, load_at(t.parameter, i, count), hn::Mul(factor, load_at(t.gradient, i, count)));
    store_at(p, t.parameter, i, count);
    if (t.half == nullptr) continue;
    if (t.rounding == 0) {
      store_at(p, t.half, i, count);
    } else {
      const auto index = hn::Iota(U(), static_cast<uint32_t>(from + i));
      store_at_random(p, hash(index, t.rounding ^ now.word), t.half + i, count);
    }
  }
}

void adamw_on_target(std::span<const OptimizerTensor> tensors, const AdamW& a) {
  const float lr = a.now->lr, correction1 = a.now->correction1, correction2 = a.now->correction2;
  const V beta1 = splat(a.beta1), rest1 = splat(1 - a.beta1), beta2 = splat(a.beta2), rest2 = splat(1 - a.beta2);
  const V keep = splat(static_cast<float>(1 - static_cast<double>(lr) * a.weight_decay));
  // sqrt(v / c2) + eps = (sqrt(v) + eps sqrt(c2)) / sqrt(c2)
  const V rate = splat(lr * std::sqrt(correction2) / correction1);
  const V eps = splat(a.eps * std::sqrt(correction2));
  over_all(tensors, a.clipping, [&](const OptimizerTensor& t, int64_t from) HWY_ATTR {
    for_each_vector(t, from, *a.now, a.clipping, [&](int64_t i, int64_t count, V p, V g) HWY_ATTR {
      const V m = hn::MulAdd(beta1, load_at(t.first, i, count), hn::Mul(rest1, g));
      const V v = hn::MulAdd(beta2, load_at(t.second, i, count), hn::Mul(rest2, hn::Mul(g, g)));
      store_at(m, t.first, i, count);
      store_at(v, t.second, i, count);
      return hn::NegMulAdd(rate, hn::Div(m, hn::Add(hn::Sqrt(v), eps)), hn::Mul(keep, p));
    });
  });
}

void lion_on_target(std::span<const OptimizerTensor> tensors, const Lion& a) {
  const V beta1 = splat(a.beta1), rest1 = splat(1 - a.beta1), beta2 = splat(a.beta2), rest2 = splat(1 - a.beta2);
  const float lr = a.now->lr;
  const V keep = splat(static_cast<float>(1 - static_cast<double>(lr) * a.weight_decay));
  const V rate = splat(lr);
  over_all(tensors, a.clipping, [&](const OptimizerTensor& t, int64_t from) HWY_ATTR {
    for_each_vector(t, from, *a.now, a.clipping, [&](int64_t i, int64_t count, V p, V g) HWY_ATTR {
      const V m = load_at(t.first, i, count);
      const V direction = hn::MulAdd(beta1, m, hn::Mul(rest1, g));
      store_at(hn::MulAdd(beta2, m, hn::Mul(rest2, g)), t.first, i, count);
      const V step = hn::IfThenZeroElse(hn::Eq(direction, hn::Zero(F())), hn::CopySignToAbs(rate, direction));
      return hn::Sub(hn::Mul(keep, p), step);
    });
  });
}

void sgd_on_target(std::span<const OptimizerTensor> tensors, const Sgd& a) {
  const float lr = a.now->lr;
  const V momentum = splat(a.momentum), rate = splat(lr);
  const V keep = splat(static_cast<float>(1 - static_cast<double>(lr) * a.weight_decay));
  over_all(tensors, a.clipping, [&](const OptimizerTensor& t, int64_t from) HWY_ATTR {
    for_each_vector(t, from, *a.now, a.clipping, [&](int64_t i, int64_t count, V p, V g) HWY_ATTR {
      V direction = g;
      if (t.first != nullptr) {
        const V m = hn::MulAdd(momentum, load_at(t.first, i, count), g);
        store_at(m, t.first, i, count);
        direction = a.nesterov ? hn::MulAdd(momentum, m, g) : m;
      }
      return hn::NegMulAdd(rate, direction, hn::Mul(keep, p));
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels::cpu_set {
QKV_EXPORT(adamw_on_target);
QKV_EXPORT(lion_on_target);
QKV_EXPORT(sgd_on_target);
void adamw(std::span<const OptimizerTensor> tensors, const AdamW& a) { QKV_DISPATCH(adamw_on_target)(tensors, a); }
void lion(std::span<const OptimizerTensor> tensors, const Lion& a) { QKV_DISPATCH(lion_on_target)(tensors, a); }
void sgd(std::span<const OptimizerTensor> tensors, const Sgd& a) { QKV_DISPATCH(sgd_on_target)(tensors, a); }
}  // namespace qkv::kernels::cpu_set
#endif
