#include "qkv/nn/norm.h"

namespace qkv {

Norm::Norm(int64_t width, const NormSpec& norm_spec) : spec(norm_spec), weight(Tensor::empty({width})) {
  if (spec.kind == NormSpec::Kind::layer && spec.bias) bias = Tensor::empty({width});
}

Tensor Norm::operator()(const Tensor& x) const {
  return spec.kind == NormSpec::Kind::rms ? rms_norm(x, weight, spec.eps) : layer_norm(x, weight, bias, spec.eps);
}

AddNorm Norm::add(const Tensor& x, const Tensor& residual) const {
  return spec.kind == NormSpec::Kind::rms ? add_rms_norm(x, residual, weight, spec.eps)
                                          : add_layer_norm(x, residual, weight, bias, spec.eps);
}

void Norm::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  visitor(prefix + ".weight", weight, Role::scale);
  if (bias) visitor(prefix + ".bias", bias, Role::bias);
}

}  // namespace qkv
