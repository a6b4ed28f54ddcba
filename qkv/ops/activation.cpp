#include "qkv/ops/activation.h"

#include "qkv/ops/autograd.h"
#include "qkv/ops/check.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

Tensor softmax_of(const Tensor& input, bool log) {
  check_compute_type(input, "softmax");
  check(input.rank() >= 1, "softmax", "expected at least one dimension");
  const Tensor x = contiguous(input);
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  const int64_t width = x.size(-1);
  const int64_t rows = width == 0 ? 0 : x.numel() / width;
  kernels_of(x).softmax({.rows = rows, .width = width, .type = x.dtype(), .log = log, .x = x.raw(), .y = y.raw()});
  if (wants_grad(x))
    record({&y}, {&x}, [x, out = y.detach(), rows, width, log](std::span<const Tensor> grads) {
      const Tensor dx = Tensor::empty(x.shape(), x.dtype(), x.device());
      kernels_of(x).softmax_backward({.rows = rows,
                                      .width = width,
                                      .type = x.dtype(),
                                      .log = log,
                                      .y = out.raw(),
                                      .dy = grads[0].raw(),
                                      .dx = dx.raw()});
      accumulate_grad(x, dx);
    });
  return y;
}

}  // namespace

Tensor activate(const Tensor& input, Activation activation) {
  check_compute_type(input, "activate");
  if (activation == Activation::none) return input;
  const Tensor x = contiguous(input);
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  kernels_of(x).activate({.kind = activation, .count = x.numel(), .type = x.dtype(), .x = x.raw(), .y = y.raw()});
  if (wants_grad(x))
    record({&y}, {&x}, [x, activation](std::span<const Tensor> grads) {
      const Tensor dx = Tensor::empty(x.shape(), x.dtype(), x.device());
      kernels_of(x).activate_backward({.kind = activation,
                                       .count = x.numel(),
                                       .type = x.dtype(),
                                       .x = x.raw(),
                                       .dy = grads[0].raw(),
                                       .dx = dx.raw()});
      accumulate_grad(x, dx);
    });
  return y;
}

Tensor gated(const Tensor& input, Activation activation) {
  check_compute_type(input, "gated");
  check(input.rank() >= 1 && input.size(-1) % 2 == 0, "gated", "expected an even last dimension, got {}",
        input.shape());
  const Tensor x = contiguous(input);
  const int64_t width = x.size(-1) / 2;
  const int64_t rows = width == 0 ? 0 : x.numel() / (2 * width);
  Shape shape = x.shape();
  shape.set(-1, width);
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  kernels_of(x).gated(
      {.kind = activation, .rows = rows, .width = width, .type = x.dtype(), .x = x.raw(), .y = y.raw()});
  if (wants_grad(x))
    record({&y}, {&x}, [x, activation, rows, width](std::span<const Tensor> grads) {
      const Tensor dx = Tensor::empty(x.shape(), x.dtype(), x.device());
      kernels_of(x).gated_backward({.kind = activation,
                                    .rows = rows,
                                    .width = width,
                                    .type = x.dtype(),
                                    .x = x.raw(),
                                    .dy = grads[0].raw(),
                                    .dx = dx.raw()});
      accumulate_grad(x, dx);
    });
  return y;
}

Tensor dropout(const Tensor& input, float p, const StepKey& key) {
  check_compute_type(input, "dropout");
  check(p >= 0 && p < 1, "dropout", "expected a probability in [0, 1), got {}", p);
  if (p == 0) return input;
  const Tensor x = contiguous(input);
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  const auto run = [p, mask = key.mask(x.device()), key](const Tensor& from, const Tensor& to) {
    kernels_of(from).dropout(
        {.count = from.numel(), .type = from.dtype(), .x = from.raw(), .y = to.raw(), .p = p, .key = mask});
  };
  run(x, y);
  if (wants_grad(x))
    record({&y}, {&x}, [x, run](std::span<const Tensor> grads) {
      const Tensor dx = Tensor::empty(x.shape(), x.dtype(), x.device());
      run(grads[0], dx);
      accumulate_grad(x, dx);
    });
  return y;
}

Tensor softmax(const Tensor& x) { return softmax_of(x, false); }
Tensor log_softmax(const Tensor& x) { return softmax_of(x, true); }

}  // namespace qkv
