#include "qkv/ops/selective_scan.h"

#include "qkv/ops/autograd.h"
#include "qkv/ops/check.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

// B and C are often two slices of one projection: their rows may lie apart, equally far for both.
bool rows_alike(const Tensor& b, const Tensor& c) {
  const auto even = [](const Tensor& x) { return x.stride(2) == 1 && x.stride(0) == x.stride(1) * x.size(1); };
  return even(b) && even(c) && b.stride(1) == c.stride(1);
}

}  // namespace

Tensor selective_scan(const Tensor& input, const Tensor& delta_input, const Tensor& b_input, const Tensor& c_input,
                      const Tensor& log_a, const Tensor& skip, const Tensor& state) {
  constexpr std::string_view op = "selective_scan";
  check_compute_type(input, op);
  const int64_t B = input.size(0), T = input.size(1), D = input.size(2), N = log_a.size(-1);
  check(log_a.dtype() == DType::f32 && log_a.shape() == Shape{D, N} && skip.dtype() == DType::f32 &&
            skip.shape() == Shape{D},
        op, "expected f32 log_a [{}, N] and skip [{}], got {} and {}", D, D, log_a.shape(), skip.shape());
  for (const Tensor* one : {&delta_input, &b_input, &c_input})
    check(one->dtype() == input.dtype() && one->shape() == Shape{B, T, one == &delta_input ? D : N}, op,
          "delta, b and c must fit x {} and {} states, got {}", input.shape(), N, one->shape());
  check(!state || (state.dtype() == DType::f32 && state.shape() == Shape{B, N, D} && state.contiguous()), op,
        "expected a dense f32 state [{}, {}, {}]", B, N, D);
  const Tensor x = contiguous(input);
  const Tensor delta = contiguous(delta_input);
  const bool alike = rows_alike(b_input, c_input);
  const Tensor b = alike ? b_input : contiguous(b_input);
  const Tensor c = alike ? c_input : contiguous(c_input);
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  const kernels::SelectiveScan call{.batch = B,
                                    .time = T,
                                    .width = D,
                                    .states = N,
                                    .type = x.dtype(),
                                    .x = x.raw(),
                                    .delta = delta.raw(),
                                    .b = b.raw(),
                                    .c = c.raw(),
                                    .ld = b.stride(1),
                                    .log_a = log_a.data<float>(),
                                    .skip = skip.data<float>(),
                                    .y = y.raw(),
                                    .before = state ? state.data<float>() : nullptr,
                                    .after = state ? state.data<float>() : nullptr};
  kernels_of(x, delta, b, c, log_a, skip, state).selective_scan(call);
  if (state || !wants_grad({&x, &delta, &b, &c, &log_a, &skip})) return y;
  record({&y}, {&x, &delta, &b, &c, &log_a, &skip}, [=](std::span<const Tensor> grads) {
    const Tensor dy = contiguous(grads[0]);
    const Tensor dx = Tensor::empty(x.shape(), x.dtype(), x.device());
    const Tensor ddelta = Tensor::empty(x.shape(), x.dtype(), x.device());
    const Tensor db = Tensor::empty(b.shape(), DType::f32, x.device());
    const Tensor dc = Tensor::empty(c.shape(), DType::f32, x.device());
    const GradSlot dlog_a = slot_or_spare(log_a);
    const GradSlot dskip = slot_or_spare(skip);
    kernels_of(x).selective_scan_backward({.forward = call,
                                           .dy = dy.raw(),
                                           .dx = dx.raw(),
                                           .ddelta = ddelta.raw(),
                                           .db = db.data<float>(),
                                           .dc = dc.data<float>(),
                                           .dlog_a = dlog_a.buffer.data<float>(),
                                           .dskip = dskip.buffer.data<float>(),
                                           .accumulate_log_a = dlog_a.accumulate,
                                           .accumulate_skip = dskip.accumulate});
    accumulate_grad(x, dx);
    accumulate_grad(delta, ddelta);
    accumulate_grad(b, cast(db, b.dtype()));
    accumulate_grad(c, cast(dc, c.dtype()));
  });
  return y;
}

}  // namespace qkv
