#include "qkv/nn/block.h"

#include "qkv/ops/activation.h"
#include "qkv/ops/arithmetic.h"

namespace qkv {
namespace {

// stream + branch and its norm. Whoever listens at `point` gets the sum.
AddNorm add_norm(const Norm& norm, const Stream& x, int64_t layer, std::string_view point, const Context& context) {
  if (context.wants(layer, point)) {
    const Tensor sum = context.tap(layer, point, x.value());
    return {sum, norm(sum)};
  }
  return x.branch ? norm.add(x.stream, x.branch) : AddNorm{x.stream, norm(x.stream)};
}

}  // namespace

Tensor Stream::value() const { return branch ? add(stream, branch) : stream; }

Block::Block(int64_t width, const BlockSpec& block_spec)
    : spec(block_spec),
      norm1(width, spec.norm),
      attention(width, spec.attention),
      norm2(width, spec.norm),
      feed_forward(width, spec.feed_forward) {}

Tensor Block::attend(const Tensor& h, int64_t layer, const Context& context, const RotaryTable* table) const {
  const Tensor out = attention(h, layer, context, table);
  return context.tap(layer, "hook_attn_out",
                     dropout(out, context.training ? spec.dropout : 0, context.dropout_key(layer, 1)));
}

Tensor Block::feed(const Tensor& h, int64_t layer, const Context& context) const {
  const Tensor out = feed_forward(h, layer, context);
  return context.tap(layer, "hook_mlp_out",
                     dropout(out, context.training ? spec.dropout : 0, context.dropout_key(layer, 2)));
}

Stream Block::operator()(Stream x, int64_t layer, const Context& context, const RotaryTable* table) const {
  if (spec.residual == Residual::post_norm) {
    const Tensor input = context.tap(layer, "hook_resid_pre", x.value());
    const Tensor middle =
        context.tap(layer, "hook_resid_mid", norm1.add(attend(input, layer, context, table), input).y);
    return {context.tap(layer, "hook_resid_post", norm2.add(feed(middle, layer, context), middle).y), {}};
  }
  const AddNorm before = add_norm(norm1, x, layer, "hook_resid_pre", context);
  const Tensor h1 = context.tap(layer, "ln1.hook_normalized", before.y);
  Stream result;
  if (spec.residual == Residual::parallel) {
    const Tensor h2 = context.tap(layer, "ln2.hook_normalized", norm2(before.sum));
    result = {before.sum, add(attend(h1, layer, context, table), feed(h2, layer, context))};
  } else {
    const Tensor attended = attend(h1, layer, context, table);
    const AddNorm between = add_norm(norm2, {before.sum, attended}, layer, "hook_resid_mid", context);
    result = {between.sum, feed(context.tap(layer, "ln2.hook_normalized", between.y), layer, context)};
  }
  if (context.wants(layer, "hook_resid_post")) return {context.tap(layer, "hook_resid_post", result.value()), {}};
  return result;
}

void Block::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  norm1.visit(prefix + ".norm1", visitor);
  attention.visit(prefix + ".attention", visitor);
  norm2.visit(prefix + ".norm2", visitor);
  feed_forward.visit(prefix + ".feed_forward", visitor);
}

}  // namespace qkv
