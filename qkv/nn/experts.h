// A mixture of experts: each token goes through a few of many feed-forward networks (Shazeer et al. 2017,
// arXiv 1701.06538).
#pragma once

#include "qkv/nn/feed_forward.h"

#include <vector>

namespace qkv {

struct ExpertsSpec {
  int64_t count = 0;   // experts of a layer
  int64_t chosen = 2;  // of which each token uses so many, those the router scores highest
  // What multiplies an expert's output: the router's softmax among the chosen ones (Mixtral), or
  bool among_all = false;    // among all (Switch)
  int64_t capacity = 0;      // > 0: an expert takes so many tokens of a sequence, the first; the others pass by
  float balance = 0;         // coefficient of the load-balancing loss, while training
  bool by_sequence = false;  // that loss looks at each sequence, padding included, not at the shown tokens of all
  float jitter = 0;  // while training, the router sees each number times a random one in [1 - jitter, 1 + jitter]
  float z = 0;       // coefficient of the router's z-loss, while training
};

// What one layer's router did, for the load-balancing loss.
struct Routing {
  Tensor logits;                 // [B, T, experts]
  std::vector<int32_t> experts;  // [B, T, chosen]
  std::string_view part;         // "encoder." or nothing: of which stack
};

struct Experts {
  ExpertsSpec spec;
  Linear router;  // [experts, D]
  std::vector<FeedForward> experts;

  Experts() = default;
  Experts(int64_t width, const FeedForwardSpec& feed_forward, const ExpertsSpec& experts_spec);
  Tensor operator()(const Tensor& x, int64_t layer, const Context& context) const;  // [B,T,D]
  void visit(const std::string& prefix, const ParameterVisitor& visitor);
};

// The load-balancing loss (Fedus et al. 2021, arXiv 2101.03961, equations 4 to 6) over all layers' tokens that `mask`
// (u8, may be undefined) shows: experts * sum_e share of choices of e * mean probability of e. Smallest, and equal to
// the number chosen, when all experts are used alike. By sequence: the mean of each sequence's own. An f32 scalar.
Tensor balance_loss(const std::vector<Routing>& layers, const Tensor& mask, bool by_sequence = false);

// The router's z-loss (Zoph et al. 2022, arXiv 2202.08906, equation 5): the mean of log^2 sum_e exp(logit_e) over all
// layers' tokens. An f32 scalar.
Tensor z_loss(const std::vector<Routing>& layers);

// What one stack's routers add to the loss, weighted by the coefficients.
Tensor routing_loss(const std::vector<Routing>& layers, const Tensor& mask, const ExpertsSpec& spec);

}  // namespace qkv
