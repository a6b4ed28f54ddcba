// The activations, a vector at a time. Included once for each instruction set.
#if defined(QKV_KERNELS_CPU_ACTIVATIONS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_CPU_ACTIVATIONS_INL_H_
#undef QKV_KERNELS_CPU_ACTIVATIONS_INL_H_
#else
#define QKV_KERNELS_CPU_ACTIVATIONS_INL_H_
#endif

#include "hwy/highway.h"
#include "qkv/kernels/cpu/vector-inl.h"
#include "qkv/kernels/activation.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {

// Each activation gives f(x) and f'(x).
struct Relu {
  static V value(V x) { return hn::Max(x, hn::Zero(F())); }
  static V slope(V x) { return hn::IfThenElseZero(hn::Gt(x, hn::Zero(F())), splat(1)); }
};
struct ReluSquared {
  static V value(V x) { return hn::Mul(Relu::value(x), x); }
  static V slope(V x) { return hn::Add(Relu::value(x), Relu::value(x)); }
};
struct Gelu {
  static HWY_INLINE V value(V x) {
    const V half = hn::Mul(splat(0.5F), x);
    return hn::MulAdd(half, erf(hn::Mul(x, splat(0.70710678F))), half);
  }
  static HWY_INLINE V slope(V x) {
    const V u = hn::Mul(x, splat(0.70710678F));
    const V e = exp(hn::Neg(hn::Mul(u, u)));
    const V cdf = hn::MulAdd(splat(0.5F), erf(u, e), splat(0.5F));
    return hn::MulAdd(hn::Mul(x, e), splat(0.39894228F), cdf);
  }
};
struct GeluTanh {
  // x/2 (1 + tanh(a)) = x sigmoid(2 a).
  static HWY_INLINE V inner(V x) {
    const V square = hn::Mul(x, x);
    return hn::Mul(hn::Mul(x, splat(1.5957691216F)), hn::MulAdd(square, splat(0.044715F), splat(1)));
  }
  static HWY_INLINE V value(V x) { return hn::Mul(x, sigmoid(inner(x))); }
  static HWY_INLINE V slope(V x) {
    const V s = sigmoid(inner(x));
    const V inner_slope = hn::Mul(splat(1.5957691216F), hn::MulAdd(hn::Mul(x, x), splat(0.134145F), splat(1)));
    return hn::MulAdd(hn::Mul(x, inner_slope), hn::NegMulAdd(s, s, s), s);
  }
};
template <int thousandths>
struct Swish {
  static HWY_INLINE V value(V x) { return hn::Mul(x, sigmoid(hn::Mul(splat(thousandths / 1000.0F), x))); }
  static HWY_INLINE V slope(V x) {
    const V kx = hn::Mul(splat(thousandths / 1000.0F), x);
    const V s = sigmoid(kx);
    return hn::MulAdd(kx, hn::NegMulAdd(s, s, s), s);
  }
};
struct Tanh {
  static HWY_INLINE V value(V x) { return tanh(x); }
  static HWY_INLINE V slope(V x) {
    const V y = tanh(x);
    return hn::NegMulAdd(y, y, splat(1));
  }
};
struct Sigmoid {
  static HWY_INLINE V value(V x) { return sigmoid(x); }
  static HWY_INLINE V slope(V x) {
    const V y = sigmoid(x);
    return hn::NegMulAdd(y, y, y);
  }
};
struct Softplus {
  // max(x, 0) + ln(1 + u), u = e^-|x|, where ln(1 + u) = 2 artanh(u / (2 + u)).
  static HWY_INLINE V value(V x) {
    const V u = exp(hn::Neg(hn::Abs(x)));
    const V s = hn::Div(u, hn::Add(u, splat(2)));
    const V square = hn::Mul(s, s);
    V p = splat(2.0F / 15);
    for (const float divisor : {13.0F, 11.0F, 9.0F, 7.0F, 5.0F, 3.0F, 1.0F})
      p = hn::MulAdd(p, square, splat(2 / divisor));
    return hn::MulAdd(p, s, hn::Max(x, hn::Zero(F())));
  }
  static HWY_INLINE V slope(V x) { return sigmoid(x); }
};
struct Laplace {
  static constexpr float mean = 0.707107F, deviation = 0.282095F;
  static HWY_INLINE V scaled(V x) { return hn::Mul(hn::Sub(x, splat(mean)), splat(0.70710678F / deviation)); }
  static HWY_INLINE V value(V x) {
    const V z = scaled(x);
    return hn::MulAdd(splat(0.5F), erf(z), splat(0.5F));
  }
  static HWY_INLINE V slope(V x) {
    const V z = scaled(x);
    return hn::Mul(exp(hn::Neg(hn::Mul(z, z))), splat(0.39894228F / deviation));
  }
};
struct Identity {
  static HWY_INLINE V value(V x) { return x; }
  static HWY_INLINE V slope(V) { return splat(1); }
};

template <typename Body>
void with_activation(Activation kind, const Body& body) {
  switch (kind) {
    case Activation::none:
      return body(Identity());
    case Activation::relu:
      return body(Relu());
    case Activation::gelu:
      return body(Gelu());
    case Activation::gelu_tanh:
      return body(GeluTanh());
    case Activation::gelu_quick:
      return body(Swish<1702>());
    case Activation::silu:
      return body(Swish<1000>());
    case Activation::tanh:
      return body(Tanh());
    case Activation::sigmoid:
      return body(Sigmoid());
    case Activation::relu_squared:
      return body(ReluSquared());
    case Activation::softplus:
      return body(Softplus());
    case Activation::laplace:
      return body(Laplace());
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#endif
