// One layer: what mixes positions (attention, or a part in its place) and a feed-forward around a residual stream.
#pragma once

#include "qkv/nn/attention.h"
#include "qkv/nn/chunked_attention.h"
#include "qkv/nn/convolution.h"
#include "qkv/nn/cross_attention.h"
#include "qkv/nn/experts.h"
#include "qkv/nn/feed_forward.h"
#include "qkv/nn/gated_attention.h"
#include "qkv/nn/norm.h"
#include "qkv/nn/state_space.h"

namespace qkv {

// Where the norms stand.
enum class Residual : uint8_t {
  pre_norm,    // x + f(norm(x)), twice                (GPT-2, Llama)
  post_norm,   // norm(x + f(x)), twice                (the original transformer, BERT)
  parallel,    // x + attention(norm(x)) + ff(norm(x)) (GPT-J, GPT-NeoX)
  from_norm,   // h + f(h) with h = norm(x), twice     (BLOOM's variant)
  reversible,  // x1 + f(norm(x2)), then x2 + g(norm of that): two streams (Reformer; ops/reversible.h)
};

struct BlockSpec {
  Residual residual = Residual::pre_norm;
  NormSpec norm;
  AttentionSpec attention;
  FeedForwardSpec feed_forward;         // width 0: none, and no norm before it
  float dropout = 0;                    // of each branch's output; gated attention has its own
  bool first_norm = true;               // pre_norm: false where the embeddings' norm serves (ModernBERT's first layer)
  bool shared_norm = false;             // parallel: one norm feeds both branches (GPT-J, Phi)
  std::optional<NormSpec> branch_norm;  // of each branch's output, before it is added (Gemma 2)
  std::optional<ExpertsSpec> experts;   // of the feed-forward
  std::optional<AttentionSpec> cross;   // attention to an encoder's output, between the two branches
  std::optional<ConvolutionSpec> convolution;      // post_norm: over the block's input, added to its result and normed
  std::optional<StateSpaceSpec> state_space = {};  // in the place of attention (Mamba), or
  std::optional<GatedAttentionSpec> gated_attention = {};      // (MEGA), or
  std::optional<ChunkedAttentionSpec> chunked_attention = {};  // (Reformer)

  bool attends() const { return !state_space && !gated_attention && !chunked_attention; }
  bool causal() const {
    if (gated_attention) return gated_attention->causal;
    if (chunked_attention) return chunked_attention->causal;
    return state_space || attention.causal;
  }
  bool feeds() const { return feed_forward.width > 0; }
};

// The residual stream between blocks: its value is stream + branch, but the addition waits for the next norm, which
// does it in the same pass. `branch` may be undefined.
struct Stream {
  Tensor stream;
  Tensor branch;

  Tensor value() const;  // the sum
};

struct Block {
  BlockSpec spec;
  Norm norm1;
  SelfAttention attention;         // or
  StateSpace state_space;          // or
  GatedAttention gated_attention;  // or
  ChunkedAttention chunked_attention;
  Norm cross_norm;  // of the cross-attention's branch, which a decoder of an encoder has
  CrossAttention cross;
  Norm norm2;
  FeedForward feed_forward;  // or
  Experts experts;
  Norm attention_norm, feed_forward_norm;  // of the branches' outputs
  Convolution convolution;

  Block() = default;
  Block(int64_t width, const BlockSpec& block_spec);
  Stream operator()(Stream x, int64_t layer, const Context& context, const LayerInputs& shared) const;
  // The branches of a reversible block. `buckets` is what hashed attention chose (nn/chunked_attention.h).
  Tensor first_branch(const Tensor& x, int64_t layer, const Context& context, Tensor& buckets) const;
  Tensor second_branch(const Tensor& x, int64_t layer, const Context& context) const;
  void visit(const std::string& prefix, const ParameterVisitor& visitor);

 private:
  // `input` is what the result will be added to.
  Tensor attend(const Tensor& h, const Tensor& input, int64_t layer, const Context& context,
                const LayerInputs& shared) const;
  Tensor cross_attend(const Tensor& h, int64_t layer, const Context& context, const LayerInputs& shared) const;
  Tensor feed(const Tensor& h, int64_t layer, const Context& context) const;
  static Stream finished(Stream x, int64_t layer, const Context& context);
  bool has_second_norm() const { return spec.feeds() && !spec.shared_norm; }
};

}  // namespace qkv
