// The position-wise feed-forward network, plain or gated.
#pragma once

#include "qkv/nn/context.h"
#include "qkv/nn/linear.h"

namespace qkv {

struct FeedForwardSpec {
  int64_t width = 0;
  Activation activation = Activation::gelu;
  bool gated = false;  // activation(gate) * up, as in SwiGLU (Shazeer 2020)
  bool apart = false;  // gated: the gate's weights and the others are matrices of their own
  bool bias = true;
  float dropout = 0;  // of what the activation gives
  int64_t chunk = 0;  // > 0: goes through the text in pieces of so many positions, so that little is held at once
};

struct FeedForward {
  FeedForwardSpec spec;
  Linear up;  // [width, D], or, gated, [2 width, D]: gate, then up; apart in two parts
  Linear down;

  FeedForward() = default;
  FeedForward(int64_t model_width, const FeedForwardSpec& feed_forward_spec);
  Tensor operator()(const Tensor& x, int64_t layer, const Context& context) const;
  void visit(const std::string& prefix, const ParameterVisitor& visitor);
};

}  // namespace qkv
