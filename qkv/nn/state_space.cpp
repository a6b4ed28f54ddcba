#include "qkv/nn/state_space.h"

#include "qkv/ops/activation.h"
#include "qkv/ops/arithmetic.h"
#include "qkv/ops/causal_conv.h"
#include "qkv/ops/selective_scan.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

constexpr size_t conv_slot = 0, scan_slot = 1;

}  // namespace

StateSpace::StateSpace(int64_t model_width, const StateSpaceSpec& state_space_spec)
    : spec(state_space_spec),
      in(model_width, 2 * spec.width, spec.bias),
      conv_weight(Tensor::empty({spec.width, 1, spec.taps})),
      select(spec.width, spec.rank + 2 * spec.states, false),
      step(spec.rank, spec.width, true),
      log_a(Tensor::empty({spec.width, spec.states})),
      skip(Tensor::empty({spec.width})),
      out(spec.width, model_width, spec.bias, Role::residual_matrix) {
  if (spec.conv_bias) conv_bias = Tensor::empty({spec.width});
}

Tensor StateSpace::convolve(const Tensor& x, int64_t layer, const Context& context) const {
  if (context.cache == nullptr) return causal_conv(x, conv_weight, conv_bias);
  const Tensor known = context.cache->state(layer, conv_slot);
  const Tensor before = known ? known : Tensor::zeros({x.size(0), spec.taps - 1, spec.width}, x.dtype(), x.device());
  const Tensor all = concat({before, x}, 1);
  context.cache->set_state(layer, conv_slot, clone(all.narrow(1, all.size(1) - spec.taps + 1, spec.taps - 1)));
  return causal_conv(x, conv_weight, conv_bias, before);
}

Tensor StateSpace::scan(const Tensor& x, int64_t layer, const Context& context) const {
  const std::vector<Tensor> chosen = split(select(x), 2, {spec.rank, spec.states, spec.states});
  const Tensor delta =
      context.tap(layer, "mixer.hook_delta", activate(step(contiguous(chosen[0])), Activation::softplus));
  if (context.cache == nullptr) return selective_scan(x, delta, chosen[1], chosen[2], log_a, skip);
  Tensor state = context.cache->state(layer, scan_slot);
  if (!state) state = Tensor::zeros({x.size(0), spec.states, spec.width}, DType::f32, x.device());
  const Tensor y = selective_scan(x, delta, chosen[1], chosen[2], log_a, skip, state);
  context.cache->set_state(layer, scan_slot, state);
  return y;
}

Tensor StateSpace::operator()(const Tensor& x, int64_t layer, const Context& context) const {
  const Tensor mask = context.new_positions_mask(x.size(1));
  const std::vector<Tensor> parts = split(in(mask ? mask_positions(x, mask) : x), 2, {spec.width, spec.width});
  Tensor channels = activate(convolve(parts[0], layer, context), spec.activation);
  if (mask) channels = mask_positions(channels, mask);
  const Tensor y = scan(context.tap(layer, "mixer.hook_conv", channels), layer, context);
  const Tensor gated = multiply(context.tap(layer, "mixer.hook_scan", y), activate(parts[1], Activation::silu));
  return out(gated);
}

void StateSpace::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  in.visit(prefix + ".in", visitor);
  visitor(prefix + ".conv.weight", conv_weight, Role::filter);
  if (spec.conv_bias) visitor(prefix + ".conv.bias", conv_bias, Role::bias);
  select.visit(prefix + ".select", visitor);
  visitor(prefix + ".step.weight", step.weight, Role::matrix);
  visitor(prefix + ".step.bias", step.bias, Role::time_step);
  visitor(prefix + ".log_a", log_a, Role::decay_log);
  visitor(prefix + ".skip", skip, Role::scale);
  out.visit(prefix + ".out", visitor);
}

}  // namespace qkv
