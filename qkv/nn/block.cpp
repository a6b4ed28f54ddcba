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

Block::Block(int64_t width, const BlockSpec& block_spec) : spec(block_spec) {
  if (spec.state_space) {
    state_space = StateSpace(width, *spec.state_space);
  } else if (spec.gated_attention) {
    gated_attention = GatedAttention(width, *spec.gated_attention);
  } else if (spec.chunked_attention) {
    chunked_attention = ChunkedAttention(width, *spec.chunked_attention);
  } else {
    attention = SelfAttention(width, spec.attention);
  }
  if (spec.first_norm) norm1 = Norm(width, spec.norm);
  if (spec.cross) {
    cross_norm = Norm(width, spec.norm);
    cross = CrossAttention(width, width, *spec.cross);
  }
  if (has_second_norm()) norm2 = Norm(width, spec.norm);
  if (spec.experts) {
    experts = Experts(width, spec.feed_forward, *spec.experts);
  } else if (spec.feeds()) {
    feed_forward = FeedForward(width, spec.feed_forward);
  }
  if (spec.branch_norm) {
    attention_norm = Norm(width, *spec.branch_norm);
    feed_forward_norm = Norm(width, *spec.branch_norm);
  }
  if (spec.convolution) convolution = Convolution(width, *spec.convolution, spec.norm);
}

Tensor Block::attend(const Tensor& h, const Tensor& input, int64_t layer, const Context& context,
                     const LayerInputs& shared) const {
  LayerInputs inputs = shared;
  if (shared.past && spec.residual != Residual::post_norm && spec.first_norm) inputs.past = norm1(shared.past);
  Tensor out = spec.state_space       ? state_space(h, layer, context)
               : spec.gated_attention ? gated_attention(h, input, layer, context)
                                      : attention(h, layer, context, inputs);
  if (spec.branch_norm) out = attention_norm(out);
  return context.tap(
      layer, "hook_attn_out",
      dropout(out, context.training && !spec.gated_attention ? spec.dropout : 0, context.dropout_key(layer, 1)));
}

Tensor Block::cross_attend(const Tensor& h, int64_t layer, const Context& context, const LayerInputs& shared) const {
  return context.tap(
      layer, "hook_cross_attn_out",
      dropout(cross(h, layer, context, shared), context.training ? spec.dropout : 0, context.dropout_key(layer, 4)));
}

Tensor Block::feed(const Tensor& h, int64_t layer, const Context& context) const {
  Tensor out = spec.experts ? experts(h, layer, context) : feed_forward(h, layer, context);
  if (spec.branch_norm) out = feed_forward_norm(out);
  return context.tap(layer, "hook_mlp_out",
                     dropout(out, context.training ? spec.dropout : 0, context.dropout_key(layer, 2)));
}

Tensor Block::first_branch(const Tensor& x, int64_t layer, const Context& context, Tensor& buckets) const {
  const Tensor h = context.tap(layer, "ln1.hook_normalized", norm1(context.tap(layer, "hook_resid_pre", x)));
  const Tensor out = chunked_attention(h, layer, context, buckets);
  return context.tap(layer, "hook_attn_out",
                     dropout(out, context.training ? spec.dropout : 0, context.dropout_key(layer, 1)));
}

Tensor Block::second_branch(const Tensor& x, int64_t layer, const Context& context) const {
  const Tensor h = context.tap(layer, "ln2.hook_normalized", norm2(context.tap(layer, "hook_resid_mid", x)));
  return feed(h, layer, context);
}

Stream Block::operator()(Stream x, int64_t layer, const Context& context, const LayerInputs& shared) const {
  if (spec.residual == Residual::post_norm) {
    const Tensor input = context.tap(layer, "hook_resid_pre", x.value());
    Tensor middle = norm1.add(attend(input, input, layer, context, shared), input).y;
    if (spec.cross) middle = cross_norm.add(cross_attend(middle, layer, context, shared), middle).y;
    middle = context.tap(layer, "hook_resid_mid", middle);
    Tensor result = spec.feeds() ? norm2.add(feed(middle, layer, context), middle).y : middle;
    if (spec.convolution) result = convolution(input, result, spec.dropout, layer, context);
    return {context.tap(layer, "hook_resid_post", result), {}};
  }
  const Tensor plain = spec.first_norm ? Tensor() : context.tap(layer, "hook_resid_pre", x.value());
  const AddNorm before = spec.first_norm ? add_norm(norm1, x, layer, "hook_resid_pre", context) : AddNorm{plain, plain};
  const Tensor h1 = context.tap(layer, "ln1.hook_normalized", before.y);
  Stream result;
  if (spec.residual == Residual::parallel) {
    const Tensor h2 = spec.shared_norm ? h1 : context.tap(layer, "ln2.hook_normalized", norm2(before.sum));
    result = {before.sum, add(attend(h1, before.sum, layer, context, shared), feed(h2, layer, context))};
  } else {
    const bool from_norm = spec.residual == Residual::from_norm;
    const Tensor& input = from_norm ? h1 : before.sum;
    Stream attended{input, attend(h1, input, layer, context, shared)};
    if (!spec.feeds()) return finished(attended, layer, context);
    if (spec.cross) {
      const AddNorm crossing = cross_norm.add(attended.stream, attended.branch);
      attended = {crossing.sum, cross_attend(crossing.y, layer, context, shared)};
    }
    const AddNorm between = add_norm(norm2, attended, layer, "hook_resid_mid", context);
    const Tensor h2 = context.tap(layer, "ln2.hook_normalized", between.y);
    result = {from_norm ? h2 : between.sum, feed(h2, layer, context)};
  }
  return finished(result, layer, context);
}

Stream Block::finished(Stream x, int64_t layer, const Context& context) {
  if (context.wants(layer, "hook_resid_post")) return {context.tap(layer, "hook_resid_post", x.value()), {}};
  return x;
}

void Block::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  if (spec.first_norm) norm1.visit(prefix + ".norm1", visitor);
  if (spec.state_space) {
    state_space.visit(prefix + ".mixer", visitor);
  } else if (spec.gated_attention) {
    gated_attention.visit(prefix + ".mixer", visitor);
  } else if (spec.chunked_attention) {
    chunked_attention.visit(prefix + ".mixer", visitor);
  } else {
    attention.visit(prefix + ".attention", visitor);
  }
  if (spec.branch_norm) attention_norm.visit(prefix + ".attention_norm", visitor);
  if (spec.cross) {
    cross_norm.visit(prefix + ".cross_norm", visitor);
    cross.visit(prefix + ".cross", visitor);
  }
  if (has_second_norm()) norm2.visit(prefix + ".norm2", visitor);
  if (spec.experts) {
    experts.visit(prefix + ".feed_forward", visitor);
  } else if (spec.feeds()) {
    feed_forward.visit(prefix + ".feed_forward", visitor);
  }
  if (spec.branch_norm) feed_forward_norm.visit(prefix + ".feed_forward_norm", visitor);
  if (spec.convolution) convolution.visit(prefix + ".convolution", visitor);
}

}  // namespace qkv
