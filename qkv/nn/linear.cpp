#include "qkv/nn/linear.h"

namespace qkv {

Linear::Linear(int64_t in, int64_t out, bool with_bias, Role weight_role)
    : weight(Tensor::empty({out, in})), role(weight_role) {
  if (with_bias) bias = Tensor::empty({out});
}

void Linear::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  visitor(prefix + ".weight", weight, role);
  if (bias) visitor(prefix + ".bias", bias, Role::bias);
}

}  // namespace qkv
