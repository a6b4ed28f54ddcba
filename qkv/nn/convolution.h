// A convolution over positions beside a layer (DeBERTa v2's first): norm(y + activation(conv(x))).
#pragma once

#include "qkv/kernels/activation.h"
#include "qkv/nn/context.h"
#include "qkv/nn/norm.h"

namespace qkv {

struct ConvolutionSpec {
  int64_t size = 3;  // positions, odd; centred
  Activation activation = Activation::tanh;
};

struct Convolution {
  ConvolutionSpec spec;
  Tensor weight;  // [D, D, size]
  Tensor bias;    // [D]
  Norm norm;

  Convolution() = default;
  Convolution(int64_t width, const ConvolutionSpec& convolution_spec, const NormSpec& norm_spec);
  // x, what went into the layer, and y, what came out: [B,T,D]. Padding counts as zeros.
  Tensor operator()(const Tensor& x, const Tensor& y, float dropout, int64_t layer, const Context& context) const;
  void visit(const std::string& prefix, const ParameterVisitor& visitor);
};

}  // namespace qkv
