#include "qkv/nn/feed_forward.h"

#include "qkv/ops/activation.h"
#include "qkv/ops/shape.h"

namespace qkv {

FeedForward::FeedForward(int64_t model_width, const FeedForwardSpec& feed_forward_spec)
    : spec(feed_forward_spec),
      up(spec.gated && spec.apart ? Linear(model_width, {spec.width, spec.width}, spec.bias)
                                  : Linear(model_width, spec.gated ? 2 * spec.width : spec.width, spec.bias)),
      down(spec.width, model_width, spec.bias, Role::residual_matrix) {}

Tensor FeedForward::operator()(const Tensor& x, int64_t layer, const Context& context) const {
  if (spec.chunk > 0 && x.rank() == 3 && x.size(1) > spec.chunk) {
    std::vector<Tensor> pieces;
    Tensor rest = x;
    Context piece = context;
    while (rest.size(1) > spec.chunk) {
      const std::vector<Tensor> cut = split(rest, 1, {spec.chunk, rest.size(1) - spec.chunk});
      pieces.push_back((*this)(cut[0], layer, piece));
      piece.key = piece.key.child(0);  // each piece drops its own
      rest = cut[1];
    }
    pieces.push_back((*this)(rest, layer, piece));
    return concat(pieces, 1);
  }
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
