// Self-attention as a part: projections, positions, cache, taps.
#pragma once

#include "qkv/nn/context.h"
#include "qkv/nn/global_attention.h"
#include "qkv/nn/linear.h"
#include "qkv/nn/norm.h"
#include "qkv/nn/relative.h"
#include "qkv/nn/distance_bias.h"
#include "qkv/nn/rotary.h"

#include <optional>

namespace qkv {

struct AttentionSpec {
  int64_t heads = 1;
  int64_t kv_heads = 1;
  int64_t head_dim = 0;
  bool causal = false;
  bool apart = false;  // queries', keys' and values' weights are matrices of their own, of types of their own
  bool qkv_bias = true;
  bool out_bias = true;
  float scale = 0;                      // 0 = 1 / sqrt(head_dim)
  bool scale_by_inverse_layer = false;  // GPT-2's scale_attn_by_inverse_layer_idx: divide by layer + 1
  int64_t window = 0;                   // > 0: sees only so many positions
  float softcap = 0;                    // > 0: scores are capped (Gemma 2)
  float alibi = 0;                      // factor of ALiBi's slopes (Press et al. 2021, arXiv 2108.12409); 0 = none
  std::optional<NormSpec> head_norm;    // of each head's query and key (Henry et al. 2020, arXiv 2010.04245)
  std::optional<RotarySpec> rotary;
  std::optional<RelativeSpec> relative;
  bool global = false;  // some tokens see all and are seen by all, whatever the window (Longformer)
  std::optional<DistanceBiasSpec> distance_bias;  // the stack's layers share its table
  float dropout = 0;
};

// ALiBi's slopes: 2^(-8 h / heads) for h = 1 .. heads where that is a power of two, else those of the power below and
// every second one of the power above.
std::vector<float> alibi_slopes(int64_t heads);

// What the layers of a stack share in one pass.
struct LayerInputs {
  const RotaryTable* rotary = nullptr;  // of the layer's own kind; needed where its spec has rotary positions
  RelativeInputs relative;              // likewise, where it has relative ones
  GlobalTokens global;                  // likewise, where it has such tokens
  Tensor position_bias;                 // distance_bias(); likewise, where it has one
  Tensor past;                          // [B, M, D]: rows before x that are keys but not queries; undefined = none
  int64_t queries = 0;                  // so many last rows of x are queries but not keys
  int64_t keys = 0;                     // > 0: only so many last keys of the cache are seen
  Tensor memory;                        // what cross-attention reads, [M, S, D]; not needed once the cache has it
  Tensor memory_mask;                   // u8 [M, S], 0 = padding; undefined = none
};

struct SelfAttention {
  AttentionSpec spec;
  Linear qkv;  // [(heads + 2 kv_heads) head_dim, width]: queries, keys, values; apart in three parts
  Linear out;
  Norm q_norm, k_norm;  // these are unused unless the spec asks for them
  Relative relative;
  GlobalAttention global;

  SelfAttention() = default;
  SelfAttention(int64_t width, const AttentionSpec& attention_spec);
  Tensor operator()(const Tensor& x, int64_t layer, const Context& context,
                    const LayerInputs& shared) const;  // [B,T,D]
  void visit(const std::string& prefix, const ParameterVisitor& visitor);
};

}  // namespace qkv
