#include "qkv/nn/feed_forward.h"

#include "qkv/ops/activation.h"

namespace qkv {

FeedForward::FeedForward(int64_t model_width, const FeedForwardSpec& feed_forward_spec)
    : spec(feed_forward_spec),
      up(model_width, spec.gated ? 2 * spec.width : spec.width, spec.bias),
      down(spec.width, model_width, spec.bias, Role::residual_matrix) {}

Tensor FeedForward::operator()(const Tensor& x, int64_t layer, const Context& context) const {
  // The activation runs inside the product unless somebody wants to see what goes into it.
  const bool fused = !spec.gated && context.taps == nullptr;
  Tensor hidden = up(x, fused ? spec.activation : Activation::none);
  if (!fused) {
    hidden = context.tap(layer, "mlp.hook_pre", hidden);
    hidden = spec.gated ? gated(hidden, spec.activation) : activate(hidden, spec.activation);
  }
  hidden = dropout(hidden, context.training ? spec.dropout : 0, context.dropout_key(layer, 6));
  return down(context.tap(layer, "mlp.hook_post", hidden));
}

void FeedForward::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  up.visit(prefix + ".up", visitor);
  down.visit(prefix + ".down", visitor);
}

}  // namespace qkv
