#include "qkv/kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/cpu/elementwise.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/instruction_sets.h"
#include "qkv/kernels/cpu/dispatch.h"
#include "qkv/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {

template <typename T, typename Function>
void binary_range(const T* a, const T* b, T* y, int64_t count, int64_t b_count, const Function& f) {
  if (b_count == count) {
    parallel_for(count, elementwise_grain,
                 [&](int64_t begin, int64_t end) HWY_ATTR { map(a + begin, b + begin, y + begin, end - begin, f); });
    return;
  }
  const int64_t rows = b_count == 0 ? 0 : count / b_count;
  parallel_for(rows, std::max<int64_t>(1, elementwise_grain / std::max<int64_t>(1, b_count)),
               [&](int64_t begin, int64_t end) HWY_ATTR {
                 for (int64_t i = begin; i < end; ++i) map(a + i * b_count, b, y + i * b_count, b_count, f);
               });
}

template <typename T>
void binary_of(const Binary& a) {
  const T* left = static_cast<const T*>(a.a);
  const T* right = static_cast<const T*>(a.b);
  T* y = static_cast<T*>(a.y);
  const V alpha = splat(a.op == BinaryOp::add ? a.alpha : a.alpha * a.beta);
  const V beta = splat(a.beta);
  if (a.op == BinaryOp::add) {
    binary_range(left, right, y, a.count, a.b_count,
                 [=](V u, V v) HWY_ATTR { return hn::MulAdd(alpha, u, hn::Mul(beta, v)); });
  } else {
    binary_range(left, right, y, a.count, a.b_count, [=](V u, V v) HWY_ATTR { return hn::Mul(alpha, hn::Mul(u, v)); });
  }
}

void binary_on_target(const Binary& a) {
  with_type(a.type, [&](auto t) HWY_ATTR { binary_of<decltype(t)>(a); });
}

void scale_on_target(const Scale& a) {
  with_type(a.type, [&](auto t) HWY_ATTR {
    using T = decltype(t);
    const V alpha = splat(a.alpha);
    parallel_for(a.count, elementwise_grain, [&](int64_t begin, int64_t end) HWY_ATTR {
      map(static_cast<const T*>(a.x) + begin, static_cast<T*>(a.y) + begin, end - begin,
          [=](V x) HWY_ATTR { return hn::Mul(alpha, x); });
    });
  });
}

void dropout_on_target(const Dropout& a) {
  const uint32_t threshold = static_cast<uint32_t>(static_cast<double>(a.p) * 0x1p32), key = a.key();
  with_type(a.type, [&](auto t) HWY_ATTR {
    using T = decltype(t);
    const V factor = splat(1 / (1 - a.p));
    parallel_for(a.count, elementwise_grain, [&](int64_t begin, int64_t end) HWY_ATTR {
      uint32_t index = static_cast<uint32_t>(begin);
      map(static_cast<const T*>(a.x) + begin, static_cast<T*>(a.y) + begin, end - begin, [&](V x) HWY_ATTR {
        const auto kept = keeps(hn::Iota(U(), index), key, threshold);
        index += static_cast<uint32_t>(lanes());
        return hn::IfThenElseZero(kept, hn::Mul(x, factor));
      });
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels::cpu_set {
QKV_EXPORT(binary_on_target);
QKV_EXPORT(scale_on_target);
QKV_EXPORT(dropout_on_target);
void binary(const Binary& a) { QKV_DISPATCH(binary_on_target)(a); }
void scale(const Scale& a) { QKV_DISPATCH(scale_on_target)(a); }
void dropout(const Dropout& a) { QKV_DISPATCH(dropout_on_target)(a); }

void fill(void* y, DType type, int64_t count, float value) {
  if (type == DType::f32) {
    parallel_for(count, 4 * elementwise_grain, [&](int64_t begin, int64_t end) {
      std::fill(static_cast<float*>(y) + begin, static_cast<float*>(y) + end, value);
    });
  } else {
    reference().fill(y, type, count, value);
  }
}
}  // namespace qkv::kernels::cpu_set
#endif
