#include "qkv/kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/cpu/activate.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "qkv/kernels/cpu/activations-inl.h"
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/instruction_sets.h"
#include "qkv/kernels/cpu/dispatch.h"
#include "qkv/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {

constexpr int64_t activation_grain = 2048;

template <typename T, typename Function>
void activate_as(const Activate& a) {
  parallel_for(a.count, activation_grain, [&](int64_t begin, int64_t end) HWY_ATTR {
    map(static_cast<const T*>(a.x) + begin, static_cast<T*>(a.y) + begin, end - begin,
        [](V x) HWY_ATTR { return Function::value(x); });
  });
}

template <typename T, typename Function>
void activate_backward_as(const ActivateBackward& a) {
  parallel_for(a.count, activation_grain, [&](int64_t begin, int64_t end) HWY_ATTR {
    map(static_cast<const T*>(a.x) + begin, static_cast<const T*>(a.dy) + begin, static_cast<T*>(a.dx) + begin,
        end - begin, [](V x, V dy) HWY_ATTR { return hn::Mul(Function::slope(x), dy); });
  });
}

template <typename T, typename Function>
void gated_as(const Gated& a) {
  parallel_for(a.rows, std::max<int64_t>(1, activation_grain / a.width), [&](int64_t begin, int64_t end) HWY_ATTR {
    for (int64_t i = begin; i < end; ++i) {
      const T* gate = static_cast<const T*>(a.x) + 2 * i * a.width;
      map(gate, gate + a.width, static_cast<T*>(a.y) + i * a.width, a.width,
          [](V g, V u) HWY_ATTR { return hn::Mul(Function::value(g), u); });
    }
  });
}

template <typename T, typename Function>
void gated_backward_as(const GatedBackward& a) {
  parallel_for(a.rows, std::max<int64_t>(1, activation_grain / a.width), [&](int64_t begin, int64_t end) HWY_ATTR {
    for (int64_t i = begin; i < end; ++i) {
      const T* gate = static_cast<const T*>(a.x) + 2 * i * a.width;
      const T* up = gate + a.width;
      const T* dy = static_cast<const T*>(a.dy) + i * a.width;
      T* dgate = static_cast<T*>(a.dx) + 2 * i * a.width;
      map(gate, dy, dgate + a.width, a.width, [](V g, V d) HWY_ATTR { return hn::Mul(Function::value(g), d); });
      map(gate, dy, dgate, a.width, [](V g, V d) HWY_ATTR { return hn::Mul(Function::slope(g), d); });
      map(dgate, up, dgate, a.width, [](V s, V u) HWY_ATTR { return hn::Mul(s, u); });
    }
  });
}

void activate_on_target(const Activate& a) {
  with_activation(a.kind,
                  [&](auto f) { with_type(a.type, [&](auto t) { activate_as<decltype(t), decltype(f)>(a); }); });
}
void activate_backward_on_target(const ActivateBackward& a) {
  with_activation(
      a.kind, [&](auto f) { with_type(a.type, [&](auto t) { activate_backward_as<decltype(t), decltype(f)>(a); }); });
}
void gated_on_target(const Gated& a) {
  if (a.width == 0) return;
  with_activation(a.kind, [&](auto f) { with_type(a.type, [&](auto t) { gated_as<decltype(t), decltype(f)>(a); }); });
}
void gated_backward_on_target(const GatedBackward& a) {
  if (a.width == 0) return;
  with_activation(a.kind,
                  [&](auto f) { with_type(a.type, [&](auto t) { gated_backward_as<decltype(t), decltype(f)>(a); }); });
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels::cpu_set {
QKV_EXPORT(activate_on_target);
QKV_EXPORT(activate_backward_on_target);
QKV_EXPORT(gated_on_target);
QKV_EXPORT(gated_backward_on_target);
void activate(const Activate& a) { QKV_DISPATCH(activate_on_target)(a); }
void activate_backward(const ActivateBackward& a) { QKV_DISPATCH(activate_backward_on_target)(a); }
void gated(const Gated& a) { QKV_DISPATCH(gated_on_target)(a); }
void gated_backward(const GatedBackward& a) { QKV_DISPATCH(gated_backward_on_target)(a); }
}  // namespace qkv::kernels::cpu_set
#endif
