#include "qkv/ops/causal_conv.h"

#include "qkv/ops/autograd.h"
#include "qkv/ops/check.h"
#include "qkv/ops/shape.h"

namespace qkv {

Tensor causal_conv(const Tensor& input, const Tensor& weight, const Tensor& bias, const Tensor& before) {
  check_compute_type(input, "causal_conv");
  check(input.rank() == 3 && weight && weight.dtype() == DType::f32 && weight.rank() == 3 &&
            weight.size(0) == input.size(2) && weight.size(1) == 1,
        "causal_conv", "expected an f32 weight [{}, 1, taps], got {}", input.size(-1),
        weight ? to_string(weight.shape()) : "none");
  const int64_t taps = weight.size(2);
  check(!bias || (bias.dtype() == DType::f32 && bias.shape() == Shape{input.size(2)}), "causal_conv",
        "the bias must be f32 [{}]", input.size(2));
  check(!before || (before.shape() == Shape{input.size(0), taps - 1, input.size(2)} && before.dtype() == input.dtype()),
        "causal_conv", "expected {} rows before, got {}", taps - 1, before ? to_string(before.shape()) : "none");
  const Tensor x = input.stride(2) == 1 ? input : contiguous(input);
  const Tensor earlier = before ? contiguous(before) : Tensor();
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  const kernels::CausalConv call{.batch = x.size(0),
                                 .time = x.size(1),
                                 .width = x.size(2),
                                 .taps = taps,
                                 .type = x.dtype(),
                                 .x = x.raw(),
                                 .x_batch_stride = x.stride(0),
                                 .x_time_stride = x.stride(1),
                                 .before = earlier ? earlier.raw() : nullptr,
                                 .weight = weight.data<float>(),
                                 .bias = bias ? bias.data<float>() : nullptr,
                                 .y = y.raw()};
  kernels_of(x, weight, bias, earlier).causal_conv(call);
  if (before || !wants_grad({&x, &weight, &bias})) return y;
  record({&y}, {&x, &weight, &bias}, [x, weight, bias, call](std::span<const Tensor> grads) {
    const Tensor dy = contiguous(grads[0]);
    const Tensor dx = Tensor::empty(x.shape(), x.dtype(), x.device());
    const GradSlot dweight = slot_or_spare(weight);
    const GradSlot dbias = bias ? slot_or_spare(bias) : GradSlot{};
    kernels_of(x).causal_conv_backward({.forward = call,
                                        .dy = dy.raw(),
                                        .dx = dx.raw(),
                                        .dweight = dweight.buffer.data<float>(),
                                        .dbias = bias ? dbias.buffer.data<float>() : nullptr,
                                        .accumulate_weight = dweight.accumulate,
                                        .accumulate_bias = dbias.accumulate});
    accumulate_grad(x, dx);
  });
  return y;
}

}  // namespace qkv
