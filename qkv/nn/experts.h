// A mixture of experts: each token goes through a few of many feed-forward networks (Shazeer et al. 2017,
// arXiv 1701.06538).
#pragma once

#include "qkv/nn/feed_forward.h"

#include <vector>

namespace qkv {

struct ExpertsSpec {
  int64_t count = 0;   // experts of a layer
  int64_t chosen = 2;  // of which each token uses so many, those the router scores highest
  // What multiplies an expert's output: the router's softmax among the chosen ones (Mixtral).
  float balance = 0;  // coefficient of the load-balancing loss, while training
};

// What one layer's router did, for the load-balancing loss.
struct Routing {
  Tensor logits;                 // [N, experts]
  std::vector<int32_t> experts;  // [N, chosen]
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
// the number chosen, when all experts are used alike. An f32 scalar.
Tensor balance_loss(const std::vector<Routing>& layers, const Tensor& mask);

}  // namespace qkv
