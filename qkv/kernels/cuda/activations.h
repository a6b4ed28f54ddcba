// The activation functions and their slopes (kernels/activation.h).
#pragma once

#include "qkv/kernels/activation.h"
#include "qkv/kernels/cuda/launch.h"

#include <type_traits>

namespace qkv::kernels {

namespace activations {

inline constexpr float tanh_scale = 0.7978845608028654F;  // sqrt(2 / pi)
inline constexpr float tanh_cubic = 0.044715F;
inline constexpr float quick = 1.702F;
inline constexpr float inverse_sqrt_2 = 0.7071067811865476F;
inline constexpr float inverse_sqrt_2pi = 0.3989422804014327F;
inline constexpr float laplace_mean = 0.707107F;       // sqrt(1/2) and
inline constexpr float laplace_deviation = 0.282095F;  // sqrt(1/4pi), rounded as published code has them

__device__ inline float sigmoid(float x) { return 1 / (1 + expf(-x)); }

// The slope of x sigmoid(k x).
__device__ inline float swish_slope(float x, float k) {
  const float s = sigmoid(k * x);
  return s + k * x * s * (1 - s);
}

__device__ inline float tanh_argument(float x) { return tanh_scale * (x + tanh_cubic * x * x * x); }

}  // namespace activations

__device__ inline float activation_value(Activation kind, float x) {
  using namespace activations;
  switch (kind) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x > 0 ? x : 0;
    case Activation::gelu:
      return x / 2 * (1 + erff(x * inverse_sqrt_2));
    case Activation::gelu_tanh:
      return x / 2 * (1 + tanhf(tanh_argument(x)));
    case Activation::gelu_quick:
      return x * sigmoid(quick * x);
    case Activation::silu:
      return x * sigmoid(x);
    case Activation::tanh:
      return tanhf(x);
    case Activation::sigmoid:
      return sigmoid(x);
    case Activation::relu_squared:
      return x > 0 ? x * x : 0;
    case Activation::softplus:
      return fmaxf(x, 0) + log1pf(expf(-fabsf(x)));
    case Activation::laplace:
      return 0.5F * (1 + erff((x - laplace_mean) / laplace_deviation * inverse_sqrt_2));
  }
  return x;
}

__device__ inline float activation_slope(Activation kind, float x) {
  using namespace activations;
  switch (kind) {
    case Activation::none:
      return 1;
    case Activation::relu:
      return x > 0 ? 1 : 0;
    case Activation::gelu:
      return 0.5F * (1 + erff(x * inverse_sqrt_2)) + x * expf(-x * x / 2) * inverse_sqrt_2pi;
    case Activation::gelu_tanh: {
      const float t = tanhf(tanh_argument(x));
      return 0.5F * (1 + t) + 0.5F * x * (1 - t * t) * tanh_scale * (1 + 3 * tanh_cubic * x * x);
    }
    case Activation::gelu_quick:
      return swish_slope(x, quick);
    case Activation::silu:
      return swish_slope(x, 1);
    case Activation::tanh: {
      const float t = tanhf(x);
      return 1 - t * t;
    }
    case Activation::sigmoid: {
      const float s = sigmoid(x);
      return s * (1 - s);
    }
    case Activation::relu_squared:
      return x > 0 ? 2 * x : 0;
    case Activation::softplus:
      return sigmoid(x);
    case Activation::laplace: {
      const float z = (x - laplace_mean) / laplace_deviation;
      return expf(-z * z / 2) / laplace_deviation * inverse_sqrt_2pi;
    }
  }
  return 1;
}

// Calls start(kind) with the activation as a constant: in kernels that do little else, choosing it for every element
// would cost as much as the memory.
template <typename Start>
void with_activation(Activation kind, Start&& start) {
  const auto at = [&](auto... kinds) { ((kind == kinds.value ? start(kinds) : void()), ...); };
  at(std::integral_constant<Activation, Activation::none>(), std::integral_constant<Activation, Activation::relu>(),
     std::integral_constant<Activation, Activation::gelu>(),
     std::integral_constant<Activation, Activation::gelu_tanh>(),
     std::integral_constant<Activation, Activation::gelu_quick>(),
     std::integral_constant<Activation, Activation::silu>(), std::integral_constant<Activation, Activation::tanh>(),
     std::integral_constant<Activation, Activation::sigmoid>(),
     std::integral_constant<Activation, Activation::relu_squared>(),
     std::integral_constant<Activation, Activation::softplus>(),
     std::integral_constant<Activation, Activation::laplace>());
}

}  // namespace qkv::kernels
