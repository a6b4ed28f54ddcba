#include "qkv/ops/norm.h"

#include "qkv/ops/autograd.h"
#include "qkv/ops/check.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

// `residual` undefined: sum is x itself.
AddNorm norm(kernels::NormKind kind, const Tensor& input, const Tensor& residual_input, const Tensor& weight,
             const Tensor& bias, float eps) {
  const std::string_view op = kind == kernels::NormKind::layer ? "layer_norm" : "rms_norm";
  check_compute_type(input, op);
  check(input.rank() >= 1 && weight && weight.dtype() == DType::f32 && weight.shape() == Shape{input.size(-1)}, op,
        "expected an f32 weight [{}], got {}", input.size(-1), weight ? weight.shape() : Shape());
  check(!bias || (bias.dtype() == DType::f32 && bias.shape() == weight.shape()), op,
        "the bias must be shaped like the weight");
  check(!residual_input || (residual_input.shape() == input.shape() && residual_input.dtype() == input.dtype()), op,
        "expected a residual like x {}", input.shape());
  const Tensor x = contiguous(input);
  const Tensor residual = residual_input ? contiguous(residual_input) : Tensor();
  const bool recorded = wants_grad({&x, &residual, &weight, &bias});
  const int64_t width = x.size(-1);
  const int64_t rows = width == 0 ? 0 : x.numel() / width;
  Tensor sum = residual ? Tensor::empty(x.shape(), x.dtype(), x.device()) : x;
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  const Tensor mean =
      recorded && kind == kernels::NormKind::layer ? Tensor::empty({rows}, DType::f32, x.device()) : Tensor();
  const Tensor rstd = recorded ? Tensor::empty({rows}, DType::f32, x.device()) : Tensor();
  kernels_of(x, residual, weight, bias)
      .norm({.kind = kind,
             .rows = rows,
             .width = width,
             .eps = eps,
             .type = x.dtype(),
             .x = x.raw(),
             .residual = residual ? residual.raw() : nullptr,
             .sum = residual ? sum.raw() : nullptr,
             .weight = weight.data<float>(),
             .bias = bias ? bias.data<float>() : nullptr,
             .y = y.raw(),
             .mean = mean ? mean.data<float>() : nullptr,
             .rstd = rstd ? rstd.data<float>() : nullptr});
  if (!recorded) return {sum, y};

  const auto backward = [=, s = sum.detach(), dw = wants_grad(weight),
                         db = wants_grad(bias)](std::span<const Tensor> grads) {
    const Tensor& dy_given = grads[0];
    const Tensor dsum = grads.size() > 1 ? grads[1] : Tensor();
    if (!dy_given) {  // only the sum was used
      accumulate_grad(x, dsum);
      accumulate_grad(residual, dsum);
      return;
    }
    const Tensor dy = contiguous(dy_given);
    const Tensor dsum_dense = dsum ? contiguous(dsum) : Tensor();
    const GradSlot weight_slot = dw ? grad_slot(weight) : GradSlot{};
    const GradSlot bias_slot = db ? grad_slot(bias) : GradSlot{};
    check(!dw || !db || weight_slot.accumulate == bias_slot.accumulate, op, "weight and bias are not used together");
    const Tensor ds = Tensor::empty(s.shape(), s.dtype(), s.device());
    kernels_of(s).norm_backward({.kind = kind,
                                 .rows = rows,
                                 .width = width,
                                 .type = s.dtype(),
                                 .s = s.raw(),
                                 .dy = dy.raw(),
                                 .dsum = dsum_dense ? dsum_dense.raw() : nullptr,
                                 .weight = weight.data<float>(),
                                 .mean = mean ? mean.data<float>() : nullptr,
                                 .rstd = rstd.data<float>(),
                                 .ds = ds.raw(),
                                 .dweight = dw ? weight_slot.buffer.data<float>() : nullptr,
                                 .dbias = db ? bias_slot.buffer.data<float>() : nullptr,
                                 .accumulate = dw ? weight_slot.accumulate : bias_slot.accumulate});
    accumulate_grad(x, ds);
    accumulate_grad(residual, ds);
  };
  if (residual) {
    record({&y, &sum}, {&x, &residual, &weight, &bias}, backward);
  } else {
    record({&y}, {&x, &weight, &bias}, backward);
  }
  return {sum, y};
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, float eps) {
  return norm(kernels::NormKind::layer, x, {}, weight, bias, eps).y;
}
Tensor rms_norm(const Tensor& x, const Tensor& weight, float eps) {
  return norm(kernels::NormKind::rms, x, {}, weight, {}, eps).y;
}
AddNorm add_layer_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias, float eps) {
  return norm(kernels::NormKind::layer, x, residual, weight, bias, eps);
}
AddNorm add_rms_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, float eps) {
  return norm(kernels::NormKind::rms, x, residual, weight, {}, eps);
}

}  // namespace qkv
