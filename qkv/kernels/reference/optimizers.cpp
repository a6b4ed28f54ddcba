#include "qkv/core/random.h"
#include "qkv/kernels/reference/reference.h"

#include <cmath>

namespace qkv::kernels::reference_set {
namespace {

// Calls step(tensor, i, gradient) for every element and stores the parameter it returns.
template <typename Step>
void for_each_element(std::span<const OptimizerTensor> tensors, const StepNumbers& now, const Clipping& clipping,
                      Step&& step) {
  if (clipping.skips()) return;
  for (const OptimizerTensor& t : tensors)
    for (int64_t i = 0; i < t.count; ++i) {
      t.parameter[i] = static_cast<float>(step(t, i, static_cast<double>(t.gradient[i]) * clipping.factor()));
      if (t.half == nullptr) continue;
      t.half[i] = bf16(t.parameter[i]);
      if (t.rounding != 0)
        t.half[i].bits = bf16_at_random(t.parameter[i], dropout_hash(t.rounding ^ now.word, static_cast<uint32_t>(i)));
    }
}

}  // namespace

void adamw(std::span<const OptimizerTensor> tensors, const AdamW& a) {
  const StepNumbers& now = *a.now;
  for_each_element(tensors, now, a.clipping, [&](const OptimizerTensor& t, int64_t i, double g) {
    const double m = a.beta1 * t.first[i] + (1 - a.beta1) * g;
    const double v = a.beta2 * t.second[i] + (1 - a.beta2) * g * g;
    t.first[i] = static_cast<float>(m);
    t.second[i] = static_cast<float>(v);
    return t.parameter[i] * (1 - now.lr * a.weight_decay) -
           now.lr * (m / now.correction1) / (std::sqrt(v / now.correction2) + a.eps);
  });
}

void lion(std::span<const OptimizerTensor> tensors, const Lion& a) {
  const float lr = a.now->lr;
  for_each_element(tensors, *a.now, a.clipping, [&](const OptimizerTensor& t, int64_t i, double g) {
    const double direction = a.beta1 * t.first[i] + (1 - a.beta1) * g;
    t.first[i] = static_cast<float>(a.beta2 * t.first[i] + (1 - a.beta2) * g);
    const double sign = direction > 0 ? 1 : direction < 0 ? -1 : 0;
    return t.parameter[i] * (1 - lr * a.weight_decay) - lr * sign;
  });
}

void sgd(std::span<const OptimizerTensor> tensors, const Sgd& a) {
  const float lr = a.now->lr;
  for_each_element(tensors, *a.now, a.clipping, [&](const OptimizerTensor& t, int64_t i, double g) {
    double direction = g;
    if (t.first != nullptr) {
      const double m = a.momentum * t.first[i] + g;
      t.first[i] = static_cast<float>(m);
      direction = a.nesterov ? g + a.momentum * m : m;
    }
    return t.parameter[i] * (1 - lr * a.weight_decay) - lr * direction;
  });
}

}  // namespace qkv::kernels::reference_set
