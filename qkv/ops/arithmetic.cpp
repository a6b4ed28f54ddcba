#include "qkv/ops/arithmetic.h"

#include "qkv/ops/autograd.h"
#include "qkv/ops/check.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

Tensor run_binary(kernels::BinaryOp op, const Tensor& a, const Tensor& b, float beta = 1) {
  Tensor y = Tensor::empty(a.shape(), a.dtype(), a.device());
  kernels_of(a, b).binary({.op = op,
                           .count = a.numel(),
                           .b_count = b.numel(),
                           .type = a.dtype(),
                           .a = a.raw(),
                           .b = b.raw(),
                           .y = y.raw(),
                           .beta = beta});
  return y;
}

Tensor run_scale(const Tensor& x, float factor) {
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  kernels_of(x).scale({.count = x.numel(), .type = x.dtype(), .x = x.raw(), .y = y.raw(), .alpha = factor});
  return y;
}

// The gradient of a tensor repeated over leading dimensions: the sum over the repeats, f32.
Tensor sum_over_repeats(const Tensor& dy, const Shape& shape) {
  Tensor total = Tensor::empty(shape, DType::f32, dy.device());
  const int64_t width = shape.numel();
  kernels_of(dy).sum_rows({.rows = width == 0 ? 0 : dy.numel() / width,
                           .width = width,
                           .x = dy.raw(),
                           .type = dy.dtype(),
                           .out = total.data<float>()});
  return total;
}

void check_same(const Tensor& a, const Tensor& b, std::string_view op) {
  check_compute_type(a, op);
  check(a.shape() == b.shape() && a.dtype() == b.dtype(), op, "expected equal shapes and dtypes, got {} {} and {} {}",
        name_of(a.dtype()), a.shape(), name_of(b.dtype()), b.shape());
}

// b has a's shape, or its trailing dimensions.
void check_repeats(const Tensor& a, const Tensor& b, std::string_view op) {
  check_compute_type(a, op);
  const int lead = a.rank() - b.rank();
  bool fits = lead >= 0 && a.dtype() == b.dtype();
  for (int i = 0; fits && i < b.rank(); ++i) fits = b.size(i) == a.size(lead + i);
  check(fits, op, "{} {} does not repeat over {} {}", name_of(b.dtype()), b.shape(), name_of(a.dtype()), a.shape());
}

}  // namespace

Tensor add(const Tensor& left, const Tensor& right) {
  check_repeats(left, right, "add");
  const Tensor a = contiguous(left);
  const Tensor b = contiguous(right);
  Tensor y = run_binary(kernels::BinaryOp::add, a, b);
  if (wants_grad({&a, &b}))
    record({&y}, {&a, &b}, [a, b](std::span<const Tensor> grads) {
      const Tensor dy = contiguous(grads[0]);
      accumulate_grad(a, dy);
      accumulate_grad(b, a.shape() == b.shape() ? dy : sum_over_repeats(dy, b.shape()));
    });
  return y;
}

Tensor subtract(const Tensor& left, const Tensor& right) {
  check_same(left, right, "subtract");
  const Tensor a = contiguous(left);
  const Tensor b = contiguous(right);
  Tensor y = run_binary(kernels::BinaryOp::add, a, b, -1);
  if (wants_grad({&a, &b}))
    record({&y}, {&a, &b}, [a, b](std::span<const Tensor> grads) {
      const Tensor dy = contiguous(grads[0]);
      accumulate_grad(b, run_scale(dy, -1));
      accumulate_grad(a, dy);
    });
  return y;
}

Tensor multiply(const Tensor& left, const Tensor& right) {
  check_repeats(left, right, "multiply");
  const Tensor a = contiguous(left);
  const Tensor b = contiguous(right);
  Tensor y = run_binary(kernels::BinaryOp::multiply, a, b);
  if (wants_grad({&a, &b}))
    record({&y}, {&a, &b}, [a, b, wanted = wants_grad(b)](std::span<const Tensor> grads) {
      const Tensor dy = contiguous(grads[0]);
      accumulate_grad(a, run_binary(kernels::BinaryOp::multiply, dy, b));
      if (!wanted) return;
      const Tensor db = run_binary(kernels::BinaryOp::multiply, dy, a);
      accumulate_grad(b, a.shape() == b.shape() ? db : sum_over_repeats(db, b.shape()));
    });
  return y;
}

Tensor mask_positions(const Tensor& x, const Tensor& mask) {
  check(x.rank() == 3 && mask.shape() == Shape{x.size(0), x.size(1)}, "mask_positions", "mask {} does not fit x {}",
        mask.shape(), x.shape());
  const Tensor factors = Tensor::empty(x.shape(), x.dtype(), x.device());
  const Tensor shown = mask.on(x.device());
  kernels_of(x).copy({.rank = 3,
                      .size = {x.size(0), x.size(1), x.size(2)},
                      .x = shown.raw(),
                      .x_type = mask.dtype(),
                      .x_stride = {mask.stride(0), mask.stride(1), 0},
                      .y = factors.raw(),
                      .y_type = x.dtype(),
                      .y_stride = {factors.stride(0), factors.stride(1), 1}});
  return multiply(x, factors);
}

Tensor scale(const Tensor& input, float factor) {
  check_compute_type(input, "scale");
  const Tensor x = contiguous(input);
  Tensor y = run_scale(x, factor);
  if (wants_grad(x))
    record({&y}, {&x},
           [x, factor](std::span<const Tensor> grads) { accumulate_grad(x, run_scale(contiguous(grads[0]), factor)); });
  return y;
}

Tensor sum(const Tensor& input) {
  check_compute_type(input, "sum");
  const Tensor x = contiguous(input);
  Tensor y = Tensor::empty({}, DType::f32, x.device());
  kernels_of(x).sum_rows({.rows = x.numel(), .width = 1, .x = x.raw(), .type = x.dtype(), .out = y.data<float>()});
  if (wants_grad(x))
    record({&y}, {&x}, [x](std::span<const Tensor> grads) {
      const Tensor dx = Tensor::empty(x.shape(), x.dtype(), x.device());
      kernels_of(x).fill(dx.raw(), dx.dtype(), dx.numel(), scalar_gradient(grads[0]));
      accumulate_grad(x, dx);
    });
  return y;
}

}  // namespace qkv
