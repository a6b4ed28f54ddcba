// Moving average equipped gated attention, MEGA's mixer: Ma et al. 2022, arXiv 2209.10655.
#pragma once

#include "qkv/nn/context.h"
#include "qkv/nn/linear.h"

#include <optional>

namespace qkv {

struct GatedAttentionSpec {
  int64_t shared = 0;      // width of queries and keys, which share their projection
  int64_t value = 0;       // width of values
  int64_t averages = 0;    // dimensions of each channel's moving average
  bool both_ways = false;  // of the moving average
  bool causal = false;
  std::optional<Activation> pointwise;  // of the scores in the place of softmax (laplace, relu_squared)
  int64_t chunk = 0;                    // > 0: attends only inside chunks of so many positions
  int64_t positions = 0;                // of a table of biases by distance: its row positions - 1 is distance 0
  int64_t distances = 0;                // its rows
  bool rotary_bias = false;             // the bias is a product of turned vectors, and there is no table
  Activation activation = Activation::silu;
  float dropout = 0;            // of the average and of the result
  float value_dropout = 0;      // of the values
  float attention_dropout = 0;  // of the attention's weights
};

// With f an activation, s the sigmoid and i the input before its norm:
//   a = silu(average(x) + w x)        the average in each channel (section 3.1; ops/moving_average.h)
//   u = s(a U),  z = silu(a Z),  g = silu(a G),  c = a C
//   q, k = z w_q + b_q, z w_k + b_k,  v = f(x V)
//   o = f(c + (weights(q, k) v * g) O),  branch = u * (o - i)
struct GatedAttention {
  GatedAttentionSpec spec;
  Tensor damping, decay, expansion;  // [D or 2 D, N, 1]: before their sigmoids, and what an input adds to the average
  Tensor projection;                 // [D or 2 D, N]
  Tensor average_skip;               // [D]: w
  Linear values;                     // [value, D]: V
  Linear gates;                      // [D + shared + value + D, D]: U, Z, G, C
  Linear out;                        // [D, value]: O
  Tensor query_key_weight, query_key_bias;  // [2, shared]
  Tensor distances;                         // [rows], or
  Tensor rotary_query, rotary_key;          // [1, shared]

  GatedAttention() = default;
  GatedAttention(int64_t model_width, const GatedAttentionSpec& gated_attention_spec);
  // x, input [B,T,D] -> branch. A cache holds keys, values and the average's state.
  Tensor operator()(const Tensor& x, const Tensor& input, int64_t layer, const Context& context) const;
  void visit(const std::string& prefix, const ParameterVisitor& visitor);

 private:
  Tensor average(const Tensor& x, const Tensor& mask, int64_t layer, const Context& context) const;
  Tensor attend(Tensor q, Tensor k, Tensor v, int64_t layer, const Context& context) const;
  Tensor distance_bias(int64_t queries, int64_t keys) const;
  Tensor weights(const Tensor& q, const Tensor& k, const Tensor& mask) const;
};

}  // namespace qkv
