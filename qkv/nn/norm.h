// The kinds of norm as a part.
#pragma once

#include "qkv/nn/module.h"
#include "qkv/ops/norm.h"

namespace qkv {

struct NormSpec {
  enum class Kind : uint8_t {
    layer,
    rms,
    scale,    // RMS norm with one weight for all of the width (ScaleNorm, Nguyen & Salazar 2019, arXiv 1910.05895)
    weights,  // the weights alone: Hugging Face's MEGA computes its RMS norm and leaves it unused
  };
  Kind kind = Kind::layer;
  float eps = 1e-5F;
  bool bias = true;    // layer norm only
  bool affine = true;  // false: no weights
};

struct Norm {
  NormSpec spec;
  Tensor weight;  // [D], or [1] of a scale norm
  Tensor bias;

  Norm() = default;
  Norm(int64_t width, const NormSpec& norm_spec);
  Tensor operator()(const Tensor& x) const;
  AddNorm add(const Tensor& x, const Tensor& residual) const;  // sum = x + residual, y = norm(sum)
  void visit(const std::string& prefix, const ParameterVisitor& visitor);

 private:
  Tensor weight_beside(const Tensor& x) const;
};

}  // namespace qkv
