// Attention by a window, but for some tokens that see all and that all see (Beltagy et al. 2020, arXiv 2004.05150).
// Costs text length x (window + such tokens).
#pragma once

#include "qkv/nn/context.h"
#include "qkv/nn/linear.h"
#include "qkv/ops/attention.h"

namespace qkv {

// The global tokens of a pass, as the layers need them.
struct GlobalTokens {
  Tensor rows;     // i32 [B, G]: where they are among the B T rows of tokens; unused ones are their row's first
  Tensor mask;     // u8 [B, G + T]: which keys a local query sees, within its window: global ones, then local ones
  Tensor sources;  // i32 [B, T]: where each position's result is among B T local and then B G global ones
  explicit operator bool() const { return bool(rows); }
};

// `global` u8 [B, T], 1 = global; `shown` u8 [B, T], 0 = padding, may be undefined. Undefined when no token is global.
GlobalTokens global_tokens(const Tensor& global, const Tensor& shown);

struct GlobalAttention {
  Linear query;      // [H K, D]: of the global tokens
  Linear key_value;  // [2 H K, D]: of all tokens, for global queries

  GlobalAttention() = default;
  GlobalAttention(int64_t width, int64_t heads, int64_t head_dim, bool bias);
  // x [B,T,D] and its local projections q, k, v [B,T,H,K] -> [B,T,H,K]. `options` are those of local attention.
  Tensor operator()(const Tensor& x, const Tensor& q, const Tensor& k, const Tensor& v, AttentionOptions options,
                    const GlobalTokens& tokens, int64_t layer, const Context& context) const;
  void visit(const std::string& prefix, const ParameterVisitor& visitor);
};

}  // namespace qkv
