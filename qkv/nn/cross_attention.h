// Attention to another sequence: a decoder reads what its encoder made (Vaswani et al. 2017, section 3.2.3).
#pragma once

#include "qkv/nn/attention.h"

namespace qkv {

struct CrossAttention {
  AttentionSpec spec;  // heads, sizes, biases, scale, dropout and apart; the rest is not read
  Linear q;            // [heads head_dim, width]
  Linear kv;           // [2 kv_heads head_dim, width of the memory]: keys, values; apart in two parts
  Linear out;

  CrossAttention() = default;
  CrossAttention(int64_t width, int64_t memory_width, const AttentionSpec& attention_spec);
  // x [B,T,D]; the memory's M rows divide B: row b reads memory b / (B / M). With a cache, its keys and values are made
  // once.
  Tensor operator()(const Tensor& x, int64_t layer, const Context& context, const LayerInputs& shared) const;
  void visit(const std::string& prefix, const ParameterVisitor& visitor);
};

}  // namespace qkv
