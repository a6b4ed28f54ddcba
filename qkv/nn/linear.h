// A linear layer.
#pragma once

#include "qkv/nn/module.h"
#include "qkv/ops/linear.h"

namespace qkv {

struct Linear {
  Tensor weight;  // [out, in]
  Tensor bias;    // [out] or undefined
  Role role = Role::matrix;

  Linear() = default;
  Linear(int64_t in, int64_t out, bool with_bias, Role weight_role = Role::matrix);
  Tensor operator()(const Tensor& x, Activation activation = Activation::none) const {
    return linear(x, weight, bias, activation);
  }
  void visit(const std::string& prefix, const ParameterVisitor& visitor);
};

}  // namespace qkv
