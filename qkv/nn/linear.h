// A linear layer.
#pragma once

#include "qkv/nn/module.h"
#include "qkv/ops/linear.h"

#include <vector>

namespace qkv {

struct Linear {
  Tensor weight;              // [out, in], or
  std::vector<Tensor> parts;  // its rows in several matrices, which may lie in blocks of different types
  Tensor bias;                // [out] or undefined
  Role role = Role::matrix;

  Linear() = default;
  Linear(int64_t in, int64_t out, bool with_bias, Role weight_role = Role::matrix);
  // `outs` rows in each part.
  Linear(int64_t in, const std::vector<int64_t>& outs, bool with_bias, Role weight_role = Role::matrix);
  Tensor operator()(const Tensor& x, Activation activation = Activation::none) const {
    return parts.empty() ? linear(x, weight, bias, activation) : by_parts(x, activation);
  }
  // Parts are visited as "PREFIX.weight.0" and so on.
  void visit(const std::string& prefix, const ParameterVisitor& visitor);

 private:
  Tensor by_parts(const Tensor& x, Activation activation) const;
};

}  // namespace qkv
