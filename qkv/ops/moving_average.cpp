#include "qkv/ops/moving_average.h"

#include "qkv/ops/autograd.h"
#include "qkv/ops/check.h"
#include "qkv/ops/shape.h"

namespace qkv {

Tensor moving_average(const Tensor& input, const Tensor& decay_input, const Tensor& in_input, const Tensor& out_input,
                      const Tensor& state) {
  constexpr std::string_view op = "moving_average";
  check_compute_type(input, op);
  check(input.rank() == 3 && decay_input.rank() == 2, op, "expected x [B,T,D] and coefficients [D,N]");
  const int64_t B = input.size(0), D = input.size(2), N = decay_input.size(1);
  const int64_t ways = D == 0 ? 1 : decay_input.size(0) / D;
  for (const Tensor* one : {&decay_input, &in_input, &out_input})
    check(one->dtype() == DType::f32 && one->shape() == Shape{ways * D, N} && (ways == 1 || ways == 2), op,
          "expected f32 coefficients [{} or {}, {}], got {}", D, 2 * D, N, one->shape());
  check(!state || (ways == 1 && state.dtype() == DType::f32 && state.shape() == Shape{B, N, D} && state.contiguous()),
        op, "expected a dense f32 state [{}, {}, {}] and one way", B, N, D);
  const Tensor x = contiguous(input);
  const Tensor decay = contiguous(decay_input), in = contiguous(in_input), out = contiguous(out_input);
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  const auto call = [=](int64_t way) {
    return kernels::MovingAverage{.batch = B,
                                  .time = x.size(1),
                                  .width = D,
                                  .states = N,
                                  .type = x.dtype(),
                                  .x = x.raw(),
                                  .decay = decay.data<float>() + way * D * N,
                                  .in = in.data<float>() + way * D * N,
                                  .out = out.data<float>() + way * D * N,
                                  .reversed = way == 1,
                                  .add = way == 1};
  };
  for (int64_t way = 0; way < ways; ++way) {
    kernels::MovingAverage one = call(way);
    one.y = y.raw();
    one.before = one.after = state ? state.data<float>() : nullptr;
    kernels_of(x, decay, in, out, state).moving_average(one);
  }
  if (state || !wants_grad({&x, &decay, &in, &out})) return y;
  record({&y}, {&x, &decay, &in, &out}, [=](std::span<const Tensor> grads) {
    const Tensor dy = contiguous(grads[0]);
    const Tensor dx = Tensor::empty(x.shape(), x.dtype(), x.device());
    const Tensor ddecay = Tensor::empty(decay.shape(), DType::f32, x.device()),
                 din = Tensor::empty(in.shape(), DType::f32, x.device()),
                 dout = Tensor::empty(out.shape(), DType::f32, x.device());
    for (int64_t way = 0; way < ways; ++way)
      kernels_of(x).moving_average_backward({.forward = call(way),
                                             .dy = dy.raw(),
                                             .dx = dx.raw(),
                                             .ddecay = ddecay.data<float>() + way * D * N,
                                             .din = din.data<float>() + way * D * N,
                                             .dout = dout.data<float>() + way * D * N});
    accumulate_grad(x, dx);
    accumulate_grad(decay, ddecay);
    accumulate_grad(in, din);
    accumulate_grad(out, dout);
  });
  return y;
}

}  // namespace qkv
