// Layer norm and RMS norm as a part.
#pragma once

#include "qkv/nn/module.h"
#include "qkv/ops/norm.h"

namespace qkv {

struct NormSpec {
  enum class Kind : uint8_t { layer, rms };
  Kind kind = Kind::layer;
  float eps = 1e-5F;
  bool bias = true;  // layer norm only
};

struct Norm {
  NormSpec spec;
  Tensor weight;
  Tensor bias;

  Norm() = default;
  Norm(int64_t width, const NormSpec& norm_spec);
  Tensor operator()(const Tensor& x) const;
  AddNorm add(const Tensor& x, const Tensor& residual) const;  // sum = x + residual, y = norm(sum)
  void visit(const std::string& prefix, const ParameterVisitor& visitor);
};

}  // namespace qkv
