// A selective state space layer, Mamba's mixer (Gu & Dao 2023, arXiv 2312.00752): what attention does, in time linear
// in the length and with a state of constant size.
#pragma once

#include "qkv/nn/context.h"
#include "qkv/nn/linear.h"

namespace qkv {

struct StateSpaceSpec {
  int64_t width = 0;   // of the inner channels
  int64_t states = 0;  // of each channel
  int64_t taps = 0;    // of the convolution before the scan
  int64_t rank = 0;    // of the time step's projection
  bool bias = false;   // of the projections in and out
  bool conv_bias = true;
  Activation activation = Activation::silu;
};

struct StateSpace {
  StateSpaceSpec spec;
  Linear in;           // [2 width, D]: channels, gate
  Tensor conv_weight;  // [width, 1, taps]
  Tensor conv_bias;    // [width] or undefined
  Linear select;       // [rank + 2 states, width]: time step, B, C
  Linear step;         // [width, rank]
  Tensor log_a;        // [width, states]
  Tensor skip;         // [width]
  Linear out;

  StateSpace() = default;
  StateSpace(int64_t model_width, const StateSpaceSpec& state_space_spec);
  // With a cache, its states are the last taps - 1 inputs of the convolution and h. Padding leaves both as they are.
  Tensor operator()(const Tensor& x, int64_t layer, const Context& context) const;  // [B,T,D]
  void visit(const std::string& prefix, const ParameterVisitor& visitor);

 private:
  Tensor convolve(const Tensor& x, int64_t layer, const Context& context) const;
  Tensor scan(const Tensor& x, int64_t layer, const Context& context) const;
};

}  // namespace qkv
