#include "qkv/nn/linear.h"

#include "qkv/ops/shape.h"

#include <numeric>

namespace qkv {

Linear::Linear(int64_t in, int64_t out, bool with_bias, Role weight_role)
    : weight(Tensor::empty({out, in})), role(weight_role) {
  if (with_bias) bias = Tensor::empty({out});
}

Linear::Linear(int64_t in, const std::vector<int64_t>& outs, bool with_bias, Role weight_role) : role(weight_role) {
  for (const int64_t out : outs) parts.push_back(Tensor::empty({out, in}));
  if (with_bias) bias = Tensor::empty({std::accumulate(outs.begin(), outs.end(), int64_t{0})});
}

Tensor Linear::by_parts(const Tensor& x, Activation activation) const {
  std::vector<int64_t> outs;
  for (const Tensor& part : parts) outs.push_back(part.size(0));
  const std::vector<Tensor> biases = bias ? split(bias, 0, outs) : std::vector<Tensor>(parts.size());
  std::vector<Tensor> results;
  for (size_t i = 0; i < parts.size(); ++i) results.push_back(linear(x, parts[i], biases[i], activation));
  return concat(results, x.rank() - 1);
}

void Linear::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  if (parts.empty()) visitor(prefix + ".weight", weight, role);
  for (size_t i = 0; i < parts.size(); ++i) visitor(prefix + ".weight." + std::to_string(i), parts[i], role);
  if (bias) visitor(prefix + ".bias", bias, Role::bias);
}

}  // namespace qkv
