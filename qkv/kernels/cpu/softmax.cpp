#include "qkv/kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/cpu/softmax.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/instruction_sets.h"
#include "qkv/kernels/cpu/dispatch.h"
#include "qkv/kernels/cpu/vector-inl.h"

#include <cmath>
#include <limits>

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {

constexpr float lowest = -std::numeric_limits<float>::infinity();

template <typename T>
HWY_INLINE float row_max(const T* x, int64_t n) {
  const int64_t N = lanes();
  V first = splat(lowest);
  V second = first;
  int64_t i = 0;
  for (; i + 2 * N <= n; i += 2 * N) {
    first = hn::Max(first, load(x + i));
    second = hn::Max(second, load(x + i + N));
  }
  for (; i + N <= n; i += N) first = hn::Max(first, load(x + i));
  float highest = max_of(hn::Max(first, second));
  for (; i < n; ++i) highest = std::max(highest, static_cast<float>(x[i]));
  return highest;
}

// The sums of exp(x - highest) and of x over a row.
struct RowSums {
  float exp;
  float plain;
};
template <typename T>
HWY_INLINE RowSums row_sums(const T* x, int64_t n, float highest, bool plain_wanted) {
  const int64_t N = lanes();
  const V shift = splat(highest);
  V total = hn::Zero(F());
  V plain = hn::Zero(F());
  int64_t i = 0;
  for (; i + N <= n; i += N) {
    const V v = load(x + i);
    total = hn::Add(total, exp(hn::Sub(v, shift)));
    if (plain_wanted) plain = hn::Add(plain, v);
  }
  if (i < n) {
    const V v = load_part(x + i, n - i);
    total = hn::Add(total, hn::IfThenElseZero(hn::FirstN(F(), static_cast<size_t>(n - i)), exp(hn::Sub(v, shift))));
    plain = hn::Add(plain, v);
  }
  return {sum_of(total), sum_of(plain)};
}

int64_t row_grain(int64_t width) { return std::max<int64_t>(1, 4096 / std::max<int64_t>(1, width)); }

void softmax_on_target(const Softmax& a) {
  with_type(a.type, [&](auto t) HWY_ATTR {
    using T = decltype(t);
    parallel_for(a.rows, row_grain(a.width), [&](int64_t begin, int64_t end) HWY_ATTR {
      for (int64_t row = begin; row < end; ++row) {
        const T* x = static_cast<const T*>(a.x) + row * a.width;
        T* y = static_cast<T*>(a.y) + row * a.width;
        const float highest = row_max(x, a.width);
        const V lse = splat(highest + std::log(row_sums(x, a.width, highest, false).exp));
        if (a.log) {
          map(x, y, a.width, [=](V v) HWY_ATTR { return hn::Sub(v, lse); });
        } else {
          map(x, y, a.width, [=](V v) HWY_ATTR { return exp(hn::Sub(v, lse)); });
        }
      }
    });
  });
}

template <typename T>
HWY_INLINE float row_dot(const T* a, const T* b, int64_t n) {
  const int64_t N = lanes();
  V total = hn::Zero(F());
  int64_t i = 0;
  for (; i + N <= n; i += N) total = hn::MulAdd(load(a + i), load(b + i), total);
  if (i < n) total = hn::MulAdd(load_part(a + i, n - i), load_part(b + i, n - i), total);
  return sum_of(total);
}

void softmax_backward_on_target(const SoftmaxBackward& a) {
  with_type(a.type, [&](auto t) HWY_ATTR {
    using T = decltype(t);
    parallel_for(a.rows, row_grain(a.width), [&](int64_t begin, int64_t end) HWY_ATTR {
      for (int64_t row = begin; row < end; ++row) {
        const T* y = static_cast<const T*>(a.y) + row * a.width;
        const T* dy = static_cast<const T*>(a.dy) + row * a.width;
        T* dx = static_cast<T*>(a.dx) + row * a.width;
        if (a.log) {
          const V total = splat(row_sums(dy, a.width, 0, true).plain);
          map(y, dy, dx, a.width, [=](V u, V d) HWY_ATTR { return hn::NegMulAdd(exp(u), total, d); });
        } else {
          const V total = splat(row_dot(y, dy, a.width));
          map(y, dy, dx, a.width, [=](V u, V d) HWY_ATTR { return hn::Mul(u, hn::Sub(d, total)); });
        }
      }
    });
  });
}

template <typename T>
HWY_INLINE void cross_entropy_row(const CrossEntropy& a, int64_t row) {
  const T* x = static_cast<const T*>(a.logits) + row * a.ld;
  T* dx = a.dlogits == nullptr ? nullptr : static_cast<T*>(a.dlogits) + row * a.ld;
  const int32_t target = a.targets[row];
  a.loss[row] = 0;
  if (target < 0 || target >= a.vocab) {
    if (dx != nullptr) map(x, dx, a.vocab, [](V) HWY_ATTR { return hn::Zero(F()); });
    return;
  }
  const float highest = row_max(x, a.vocab);
  const RowSums sums = row_sums(x, a.vocab, highest, a.smoothing > 0);
  const float log_sum = std::log(sums.exp), lse = highest + log_sum;
  const float of_target = static_cast<float>(x[target]);
  const float n = static_cast<float>(a.vocab);
  // Beside a large score the logarithm's digits would be rounded away.
  a.loss[row] = (1 - a.smoothing) * (log_sum + (highest - of_target)) +
                (a.smoothing > 0 ? a.smoothing * (lse - sums.plain / n) : 0);
  if (dx == nullptr) return;
  const V shift = splat(lse);
  const V factor = splat(a.scale);
  const V offset = splat(-a.scale * a.smoothing / n);
  map(x, dx, a.vocab, [=](V v) HWY_ATTR { return hn::MulAdd(factor, exp(hn::Sub(v, shift)), offset); });
  const float of_target_p = std::exp(of_target - lse);
  dx[target] = static_cast<T>(a.scale * (of_target_p - (1 - a.smoothing) - a.smoothing / n));
}

void cross_entropy_on_target(const CrossEntropy& a) {
  with_type(a.type, [&](auto t) HWY_ATTR {
    parallel_for(a.rows, row_grain(a.vocab), [&](int64_t begin, int64_t end) HWY_ATTR {
      for (int64_t row = begin; row < end; ++row) cross_entropy_row<decltype(t)>(a, row);
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels::cpu_set {
QKV_EXPORT(softmax_on_target);
QKV_EXPORT(softmax_backward_on_target);
QKV_EXPORT(cross_entropy_on_target);
void softmax(const Softmax& a) { QKV_DISPATCH(softmax_on_target)(a); }
void softmax_backward(const SoftmaxBackward& a) { QKV_DISPATCH(softmax_backward_on_target)(a); }
void cross_entropy(const CrossEntropy& a) { QKV_DISPATCH(cross_entropy_on_target)(a); }
}  // namespace qkv::kernels::cpu_set
#endif
