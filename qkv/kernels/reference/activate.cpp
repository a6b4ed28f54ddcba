#include "qkv/kernels/reference/element.h"
#include "qkv/kernels/reference/reference.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace qkv::kernels::reference_set {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// x sigmoid(k x) and its slope.
double swish(double x, double k) { return x * sigmoid(k * x); }
double swish_slope(double x, double k) {
  const double s = sigmoid(k * x);
  return s + k * x * s * (1 - s);
}

constexpr double tanh_scale = 0.7978845608028654;  // sqrt(2 / pi)
constexpr double tanh_cubic = 0.044715;
constexpr double quick = 1.702;
constexpr double laplace_mean = 0.707107;       // sqrt(1/2) and
constexpr double laplace_deviation = 0.282095;  // sqrt(1/4pi), rounded as published code has them

}  // namespace

double activation_value(Activation kind, double x) {
  switch (kind) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x > 0 ? x : 0;
    case Activation::gelu:
      return x / 2 * (1 + std::erf(x / std::numbers::sqrt2));
    case Activation::gelu_tanh:
      return x / 2 * (1 + std::tanh(tanh_scale * (x + tanh_cubic * x * x * x)));
    case Activation::gelu_quick:
      return swish(x, quick);
    case Activation::silu:
      return swish(x, 1);
    case Activation::tanh:
      return std::tanh(x);
    case Activation::sigmoid:
      return sigmoid(x);
    case Activation::relu_squared:
      return x > 0 ? x * x : 0;
    case Activation::softplus:
      return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
    case Activation::laplace:
      return 0.5 * (1 + std::erf((x - laplace_mean) / (laplace_deviation * std::numbers::sqrt2)));
  }
  return x;
}

double activation_slope(Activation kind, double x) {
  switch (kind) {
    case Activation::none:
      return 1;
    case Activation::relu:
      return x > 0 ? 1 : 0;
    case Activation::gelu:
      return 0.5 * (1 + std::erf(x / std::numbers::sqrt2)) + x * std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
    case Activation::gelu_tanh: {
      const double t = std::tanh(tanh_scale * (x + tanh_cubic * x * x * x));
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * tanh_scale * (1 + 3 * tanh_cubic * x * x);
    }
    case Activation::gelu_quick:
      return swish_slope(x, quick);
    case Activation::silu:
      return swish_slope(x, 1);
    case Activation::tanh:
      return 1 - std::tanh(x) * std::tanh(x);
    case Activation::sigmoid:
      return sigmoid(x) * (1 - sigmoid(x));
    case Activation::relu_squared:
      return x > 0 ? 2 * x : 0;
    case Activation::softplus:
      return sigmoid(x);
    case Activation::laplace: {
      const double z = (x - laplace_mean) / laplace_deviation;
      return std::exp(-z * z / 2) / (laplace_deviation * std::sqrt(2 * std::numbers::pi));
    }
  }
  return 1;
}

void activate(const Activate& a) {
  for (int64_t i = 0; i < a.count; ++i) store(a.y, a.type, i, activation_value(a.kind, load(a.x, a.type, i)));
}

void activate_backward(const ActivateBackward& a) {
  for (int64_t i = 0; i < a.count; ++i)
    store(a.dx, a.type, i, activation_slope(a.kind, load(a.x, a.type, i)) * load(a.dy, a.type, i));
}

void gated(const Gated& a) {
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t j = 0; j < a.width; ++j) {
      const double gate = load(a.x, a.type, 2 * i * a.width + j);
      const double up = load(a.x, a.type, (2 * i + 1) * a.width + j);
      store(a.y, a.type, i * a.width + j, activation_value(a.kind, gate) * up);
    }
}

void gated_backward(const GatedBackward& a) {
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t j = 0; j < a.width; ++j) {
      const int64_t gate_place = 2 * i * a.width + j;
      const int64_t up_place = gate_place + a.width;
      const double gate = load(a.x, a.type, gate_place);
      const double up = load(a.x, a.type, up_place);
      const double dy = load(a.dy, a.type, i * a.width + j);
      store(a.dx, a.type, gate_place, dy * up * activation_slope(a.kind, gate));
      store(a.dx, a.type, up_place, dy * activation_value(a.kind, gate));
    }
}

}  // namespace qkv::kernels::reference_set
