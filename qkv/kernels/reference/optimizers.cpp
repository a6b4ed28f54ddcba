#include "qkv/kernels/reference/reference.h"

#include <cmath>

namespace qkv::kernels::reference_set {
namespace {

// Calls step(tensor, i, gradient) for every element and stores the parameter it returns.
template <typename Step>
void for_each_element(std::span<const OptimizerTensor> tensors, float gradient_scale, Step&& step) {
  for (const OptimizerTensor& t : tensors)
    for (int64_t i = 0; i < t.count; ++i) {
      t.parameter[i] = static_cast<float>(step(t, i, static_cast<double>(t.gradient[i]) * gradient_scale));
      if (t.half != nullptr) t.half[i] = bf16(t.parameter[i]);
    }
}

}  // namespace

void adamw(std::span<const OptimizerTensor> tensors, const AdamW& a) {
  const double correction1 = 1 - std::pow(static_cast<double>(a.beta1), static_cast<double>(a.step));
  const double correction2 = 1 - std::pow(static_cast<double>(a.beta2), static_cast<double>(a.step));
  for_each_element(tensors, a.gradient_scale, [&](const OptimizerTensor& t, int64_t i, double g) {
    const double m = a.beta1 * t.first[i] + (1 - a.beta1) * g;
    const double v = a.beta2 * t.second[i] + (1 - a.beta2) * g * g;
    t.first[i] = static_cast<float>(m);
    t.second[i] = static_cast<float>(v);
    return t.parameter[i] * (1 - a.lr * a.weight_decay) -
           a.lr * (m / correction1) / (std::sqrt(v / correction2) + a.eps);
  });
}

void lion(std::span<const OptimizerTensor> tensors, const Lion& a) {
  for_each_element(tensors, a.gradient_scale, [&](const OptimizerTensor& t, int64_t i, double g) {
    const double direction = a.beta1 * t.first[i] + (1 - a.beta1) * g;
    t.first[i] = static_cast<float>(a.beta2 * t.first[i] + (1 - a.beta2) * g);
    const double sign = direction > 0 ? 1 : direction < 0 ? -1 : 0;
    return t.parameter[i] * (1 - a.lr * a.weight_decay) - a.lr * sign;
  });
}

void sgd(std::span<const OptimizerTensor> tensors, const Sgd& a) {
  for_each_element(tensors, a.gradient_scale, [&](const OptimizerTensor& t, int64_t i, double g) {
    double direction = g;
    if (t.first != nullptr) {
      const double m = a.momentum * t.first[i] + g;
      t.first[i] = static_cast<float>(m);
      direction = a.nesterov ? g + a.momentum * m : m;
    }
    return t.parameter[i] * (1 - a.lr * a.weight_decay) - a.lr * direction;
  });
}

}  // namespace qkv::kernels::reference_set
