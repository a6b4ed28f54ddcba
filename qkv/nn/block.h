// One layer of a transformer: attention and feed-forward around a residual stream.
#pragma once

#include "qkv/nn/attention.h"
#include "qkv/nn/feed_forward.h"
#include "qkv/nn/norm.h"

namespace qkv {

// Where the norms stand.
enum class Residual : uint8_t {
  pre_norm,   // x + f(norm(x)), twice                (GPT-2, Llama)
  post_norm,  // norm(x + f(x)), twice                (the original transformer, BERT)
  parallel,   // x + attention(norm(x)) + ff(norm(x)) (GPT-J, GPT-NeoX)
};

struct BlockSpec {
  Residual residual = Residual::pre_norm;
  NormSpec norm;
  AttentionSpec attention;
  FeedForwardSpec feed_forward;
  float dropout = 0;  // of each branch's output
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
  SelfAttention attention;
  Norm norm2;
  FeedForward feed_forward;

  Block() = default;
  Block(int64_t width, const BlockSpec& block_spec);
  Stream operator()(Stream x, int64_t layer, const Context& context, const RotaryTable* table) const;
  void visit(const std::string& prefix, const ParameterVisitor& visitor);

 private:
  Tensor attend(const Tensor& h, int64_t layer, const Context& context, const RotaryTable* table) const;
  Tensor feed(const Tensor& h, int64_t layer, const Context& context) const;
};

}  // namespace qkv
