#include "qkv/kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/cpu/norm.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/instruction_sets.h"
#include "qkv/kernels/cpu/dispatch.h"
#include "qkv/kernels/cpu/partial_rows.h"
#include "qkv/kernels/cpu/vector-inl.h"

#include <cmath>

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {

// The sum over a row of f(element vector); what f makes of the padding of the last part must be 0.
template <typename T, typename Function>
HWY_INLINE float reduce(const T* x, int64_t n, const Function& f) {
  const int64_t N = lanes();
  V first = hn::Zero(F());
  V second = hn::Zero(F());
  int64_t i = 0;
  for (; i + 2 * N <= n; i += 2 * N) {
    first = hn::Add(first, f(load(x + i), i, N));
    second = hn::Add(second, f(load(x + i + N), i + N, N));
  }
  for (; i + N <= n; i += N) first = hn::Add(first, f(load(x + i), i, N));
  if (i < n) second = hn::Add(second, f(load_part(x + i, n - i), i, n - i));
  return sum_of(hn::Add(first, second));
}

HWY_INLINE V only_first(V v, int64_t count) {
  return hn::IfThenElseZero(hn::FirstN(F(), static_cast<size_t>(count)), v);
}

template <typename T>
HWY_INLINE void norm_row(const Norm& a, int64_t row) {
  const int64_t n = a.width;
  const T* s = static_cast<const T*>(a.x) + row * n;
  if (a.residual != nullptr) {
    T* sum = static_cast<T*>(a.sum) + row * n;
    map(s, static_cast<const T*>(a.residual) + row * n, sum, n, [](V x, V r) HWY_ATTR { return hn::Add(x, r); });
    s = sum;
  }
  float mean = 0;
  if (a.kind == NormKind::layer)
    mean = reduce(s, n, [](V v, int64_t, int64_t) HWY_ATTR { return v; }) / static_cast<float>(n);
  const V centre = splat(mean);
  const float square = reduce(s, n, [=](V v, int64_t, int64_t count) HWY_ATTR {
    const V d = hn::Sub(v, centre);
    const V squared = hn::Mul(d, d);
    return count == lanes() ? squared : only_first(squared, count);
  });
  const float rstd = 1 / std::sqrt(square / static_cast<float>(n) + a.eps);
  const V factor = splat(rstd);
  T* y = static_cast<T*>(a.y) + row * n;
  const int64_t N = lanes();
  for (int64_t i = 0; i < n; i += N) {
    const int64_t count = std::min(N, n - i);
    const V normal = hn::Mul(hn::Sub(load_at(s, i, count), centre), factor);
    const V weight = load_at(a.weight, i, count);
    const V result =
        a.bias != nullptr ? hn::MulAdd(normal, weight, load_at(a.bias, i, count)) : hn::Mul(normal, weight);
    store_at(result, y, i, count);
  }
  if (a.mean != nullptr) a.mean[row] = mean;
  if (a.rstd != nullptr) a.rstd[row] = rstd;
}

// One row of the backward pass; adds to dweight and dbias where they are wanted.
template <typename T>
HWY_INLINE void norm_backward_row(const NormBackward& a, int64_t row, float* dweight, float* dbias) {
  const int64_t n = a.width;
  const int64_t N = lanes();
  const bool layer = a.kind == NormKind::layer;
  const T* s = static_cast<const T*>(a.s) + row * n;
  const T* dy = static_cast<const T*>(a.dy) + row * n;
  const V centre = splat(layer ? a.mean[row] : 0);
  const V factor = splat(a.rstd[row]);
  V total = hn::Zero(F());
  V dot = hn::Zero(F());
  for (int64_t i = 0; i < n; i += N) {
    const int64_t count = std::min(N, n - i);
    const V d = load_at(dy, i, count);  // zero beyond the row, and so is all that it multiplies
    const V normal = hn::Mul(hn::Sub(load_at(s, i, count), centre), factor);
    const V g = hn::Mul(d, load_at(a.weight, i, count));
    total = hn::Add(total, g);
    dot = hn::MulAdd(g, normal, dot);
    if (dweight != nullptr) store_at(hn::MulAdd(d, normal, load_at(dweight, i, count)), dweight, i, count);
    if (dbias != nullptr) store_at(hn::Add(d, load_at(dbias, i, count)), dbias, i, count);
  }
  const float scale = 1 / static_cast<float>(n);
  const V mean_g = splat(layer ? sum_of(total) * scale : 0);
  const V mean_dot = splat(sum_of(dot) * scale);
  const T* dsum = a.dsum == nullptr ? nullptr : static_cast<const T*>(a.dsum) + row * n;
  T* ds = static_cast<T*>(a.ds) + row * n;
  for (int64_t i = 0; i < n; i += N) {
    const int64_t count = std::min(N, n - i);
    const V normal = hn::Mul(hn::Sub(load_at(s, i, count), centre), factor);
    const V g = hn::Mul(load_at(dy, i, count), load_at(a.weight, i, count));
    V result = hn::Mul(factor, hn::Sub(hn::Sub(g, mean_g), hn::Mul(normal, mean_dot)));
    if (dsum != nullptr) result = hn::Add(result, load_at(dsum, i, count));
    store_at(result, ds, i, count);
  }
}

void norm_on_target(const Norm& a) {
  const int64_t grain = std::max<int64_t>(1, elementwise_grain / 2 / std::max<int64_t>(1, a.width));
  with_type(a.type, [&](auto t) HWY_ATTR {
    parallel_for(a.rows, grain, [&](int64_t begin, int64_t end) HWY_ATTR {
      for (int64_t row = begin; row < end; ++row) norm_row<decltype(t)>(a, row);
    });
  });
}

void norm_backward_on_target(const NormBackward& a) {
  const int64_t grain = std::max<int64_t>(1, elementwise_grain / 2 / std::max<int64_t>(1, a.width));
  PartialRows partial(a.rows, grain, 2 * a.width);
  with_type(a.type, [&](auto t) HWY_ATTR {
    partial.run([&](int64_t begin, int64_t end, float* sums) HWY_ATTR {
      for (int64_t row = begin; row < end; ++row)
        norm_backward_row<decltype(t)>(a, row, a.dweight == nullptr ? nullptr : sums,
                                       a.dbias == nullptr ? nullptr : sums + a.width);
    });
  });
  partial.add_to(a.dweight, 0, a.width, a.accumulate);
  partial.add_to(a.dbias, a.width, a.width, a.accumulate);
}

template <typename T>
void sum_rows_of(const SumRows& a) {
  const int64_t grain = std::max<int64_t>(1, 2 * elementwise_grain / std::max<int64_t>(1, a.width));
  const int64_t ld = a.ld > 0 ? a.ld : a.width;
  if (ld == 1) {  // a plain sum: the lanes run along the rows
    PartialRows partial(a.rows, 2 * elementwise_grain, 1);
    partial.run([&](int64_t begin, int64_t end, float* sums) HWY_ATTR {
      sums[0] =
          reduce(static_cast<const T*>(a.x) + begin, end - begin, [](V v, int64_t, int64_t) HWY_ATTR { return v; });
    });
    partial.add_to(a.out, 0, 1, a.accumulate);
    return;
  }
  PartialRows partial(a.rows, grain, a.width);
  partial.run([&](int64_t begin, int64_t end, float* sums) HWY_ATTR {
    for (int64_t row = begin; row < end; ++row)
      map(static_cast<const T*>(a.x) + row * ld, sums, sums, a.width, [](V x, V s) HWY_ATTR { return hn::Add(x, s); });
  });
  partial.add_to(a.out, 0, a.width, a.accumulate);
}

void sum_rows_on_target(const SumRows& a) {
  with_type(a.type, [&](auto t) HWY_ATTR { sum_rows_of<decltype(t)>(a); });
}

template <typename T>
double squares_of(const T* x, int64_t count) {
  // Short runs in f32, their sums in f64: neither the speed nor the digits of a long sum are lost.
  constexpr int64_t run = 4096;
  double total = 0;
  for (int64_t i = 0; i < count; i += run)
    total += static_cast<double>(
        reduce(x + i, std::min(run, count - i), [](V v, int64_t, int64_t) HWY_ATTR { return hn::Mul(v, v); }));
  return total;
}

double squares_on_target(const L2NormPart& a, int64_t begin, int64_t end) {
  double total = 0;
  with_type(a.type,
            [&](auto t) HWY_ATTR { total = squares_of(static_cast<const decltype(t)*>(a.x) + begin, end - begin); });
  return total;
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels::cpu_set {
QKV_EXPORT(norm_on_target);
QKV_EXPORT(norm_backward_on_target);
QKV_EXPORT(sum_rows_on_target);
QKV_EXPORT(squares_on_target);
void norm(const Norm& a) { QKV_DISPATCH(norm_on_target)(a); }
void norm_backward(const NormBackward& a) { QKV_DISPATCH(norm_backward_on_target)(a); }
void sum_rows(const SumRows& a) { QKV_DISPATCH(sum_rows_on_target)(a); }

namespace {

double squares_of_part(const L2NormPart& a) {
  const int64_t parts = std::clamp<int64_t>(a.count / (8 * elementwise_grain), 1, threads());
  std::vector<double> sums(static_cast<size_t>(parts), 0.0);
  parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      sums[static_cast<size_t>(part)] =
          QKV_DISPATCH(squares_on_target)(a, a.count * part / parts, a.count * (part + 1) / parts);
    }
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace

void l2_norm(std::span<const L2NormPart> parts, float* norm) {
  double squares = 0;
  for (const L2NormPart& part : parts) squares += squares_of_part(part);
  *norm = static_cast<float>(std::sqrt(squares));
}
}  // namespace qkv::kernels::cpu_set
#endif
