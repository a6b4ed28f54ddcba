#include "qkv/ops/linear.h"

#include "qkv/ops/activation.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/check.h"
#include "qkv/ops/packed.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

struct Sizes {
  int64_t rows, in, out;
};

void linear_backward(const Tensor& x, const Tensor& used_weight, const Tensor& weight, const Tensor& bias, Sizes size,
                     const Tensor& dy, bool dx_wanted, bool dweight_wanted, bool dbias_wanted) {
  const kernels::KernelSet& kernel = kernels_of(x);
  if (dx_wanted) {
    const GradSlot dx = grad_slot(x);
    kernel.gemm({.m = size.rows,
                 .n = size.in,
                 .k = size.out,
                 .a = dy.raw(),
                 .a_type = dy.dtype(),
                 .lda = size.out,
                 .b = used_weight.raw(),
                 .b_type = used_weight.dtype(),
                 .ldb = size.in,
                 .c = dx.buffer.raw(),
                 .c_type = dx.buffer.dtype(),
                 .ldc = size.in,
                 .accumulate = dx.accumulate});
  }
  if (dweight_wanted) {
    const GradSlot dweight = grad_slot(weight);
    kernel.gemm({.m = size.out,
                 .n = size.in,
                 .k = size.rows,
                 .a = dy.raw(),
                 .a_type = dy.dtype(),
                 .lda = size.out,
                 .a_transposed = true,
                 .b = x.raw(),
                 .b_type = x.dtype(),
                 .ldb = size.in,
                 .c = dweight.buffer.raw(),
                 .c_type = dweight.buffer.dtype(),
                 .ldc = size.in,
                 .accumulate = dweight.accumulate});
  }
  if (dbias_wanted) {
    const GradSlot dbias = grad_slot(bias);
    kernel.sum_rows({.rows = size.rows,
                     .width = size.out,
                     .x = dy.raw(),
                     .type = dy.dtype(),
                     .out = dbias.buffer.data<float>(),
                     .accumulate = dbias.accumulate});
  }
}

}  // namespace

Tensor linear(const Tensor& input, const Tensor& weight, const Tensor& bias, Activation activation) {
  if (weight.packed() || weight.rounds_inputs()) return packed_linear(input, weight, bias, activation);
  check_compute_type(input, "linear");
  check_weight_type(weight, "linear");
  check(weight.rank() == 2 && input.rank() >= 1 && input.size(-1) == weight.size(1), "linear",
        "expected x[..., K] and W[N, K], got x {} and W {}", input.shape(), weight.shape());
  check(!bias || (bias.shape() == Shape{weight.size(0)} && bias.dtype() == DType::f32), "linear",
        "expected an f32 bias [{}], got {}", weight.size(0), bias ? bias.shape() : Shape());
  const bool recorded = wants_grad({&input, &weight, &bias});
  if (recorded && activation != Activation::none) return activate(linear(input, weight, bias), activation);

  const Tensor x = contiguous(input);
  const Tensor used = x.dtype() == DType::f32 ? weight.detach() : half_of(weight, x.dtype());
  const Sizes size{x.numel() / std::max<int64_t>(1, weight.size(1)), weight.size(1), weight.size(0)};
  Shape shape = x.shape();
  shape.set(-1, size.out);
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  const kernels::KernelSet& kernel = kernels_of(x, used, bias);
  Tensor rounded;
  if (kernel.takes_rounded_bias && x.dtype() != DType::f32 && bias && keeps_half(bias))
    rounded = half_of(bias, x.dtype());
  kernel.gemm({.m = size.rows,
               .n = size.out,
               .k = size.in,
               .a = x.raw(),
               .a_type = x.dtype(),
               .lda = size.in,
               .b = used.raw(),
               .b_type = used.dtype(),
               .ldb = size.in,
               .b_transposed = true,
               .c = y.raw(),
               .c_type = y.dtype(),
               .ldc = size.out,
               .bias = bias ? bias.data<float>() : nullptr,
               .rounded_bias = rounded ? rounded.raw() : nullptr,
               .activation = activation});
  if (recorded)
    record({&y}, {&x, &weight, &bias},
           [x, used, weight, bias, size, dx = wants_grad(x), dw = wants_grad(weight), db = wants_grad(bias)](
               std::span<const Tensor> grads) { linear_backward(x, used, weight, bias, size, grads[0], dx, dw, db); });
  return y;
}

Tensor widened(const Tensor& x, int64_t width) {
  return linear(x, Tensor::from({width, 1}, std::vector<float>(static_cast<size_t>(width), 1.0F), x.device()), {});
}

}  // namespace qkv
