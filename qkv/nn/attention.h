// Self-attention as a part: projections, positions, cache, taps.
#pragma once

#include "qkv/nn/context.h"
#include "qkv/nn/linear.h"
#include "qkv/nn/rotary.h"

#include <optional>

namespace qkv {

struct AttentionSpec {
  int64_t heads = 1;
  int64_t kv_heads = 1;
  int64_t head_dim = 0;
  bool causal = false;
  bool qkv_bias = true;
  bool out_bias = true;
  float scale = 0;                      // 0 = 1 / sqrt(head_dim)
  bool scale_by_inverse_layer = false;  // GPT-2's scale_attn_by_inverse_layer_idx: divide by layer + 1
  int64_t window = 0;
  std::optional<RotarySpec> rotary;
  float dropout = 0;
};

struct SelfAttention {
  AttentionSpec spec;
  Linear qkv;  // [(heads + 2 kv_heads) head_dim, width]: queries, keys, values
  Linear out;

  SelfAttention() = default;
  SelfAttention(int64_t width, const AttentionSpec& attention_spec);
  // x [B,T,D] -> [B,T,D]. `table` is needed where the spec has rotary positions.
  Tensor operator()(const Tensor& x, int64_t layer, const Context& context, const RotaryTable* table) const;
  void visit(const std::string& prefix, const ParameterVisitor& visitor);
};

}  // namespace qkv
