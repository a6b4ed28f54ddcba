#include "qkv/nn/norm.h"

#include "qkv/ops/arithmetic.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

using Kind = NormSpec::Kind;

// A weight [1] as [width].
Tensor repeated(const Tensor& weight, int64_t width) {
  const Tensor places = Tensor::zeros({width}, DType::i32);
  return reshape(embedding(places, reshape(weight, {1, 1}), DType::f32), {width});
}

}  // namespace

Norm::Norm(int64_t width, const NormSpec& norm_spec) : spec(norm_spec) {
  const Shape shape{spec.kind == Kind::scale ? 1 : width};
  weight = spec.affine ? Tensor::empty(shape)
                       : Tensor::from(shape, std::vector<float>(static_cast<size_t>(shape.numel()), 1.0F));
  if (spec.kind == Kind::layer && spec.bias && spec.affine) bias = Tensor::empty({width});
}

// Without a weight of its own, ones, which stand where x does.
Tensor Norm::weight_beside(const Tensor& x) const { return spec.affine ? weight : weight.on(x.device()); }

Tensor Norm::operator()(const Tensor& x) const {
  switch (spec.kind) {
    case Kind::layer:
      return layer_norm(x, weight_beside(x), bias, spec.eps);
    case Kind::rms:
      return rms_norm(x, weight_beside(x), spec.eps);
    case Kind::scale:
      return rms_norm(x, repeated(weight_beside(x), x.size(-1)), spec.eps);
    case Kind::weights:
      return spec.affine ? multiply(x, cast(weight, x.dtype())) : x;
  }
  return x;
}

AddNorm Norm::add(const Tensor& x, const Tensor& residual) const {
  if (spec.kind == Kind::layer) return add_layer_norm(x, residual, weight_beside(x), bias, spec.eps);
  if (spec.kind == Kind::rms) return add_rms_norm(x, residual, weight_beside(x), spec.eps);
  const Tensor sum = qkv::add(x, residual);
  return {sum, (*this)(sum)};
}

void Norm::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  if (spec.affine) visitor(prefix + ".weight", weight, Role::scale);
  if (bias) visitor(prefix + ".bias", bias, Role::bias);
}

}  // namespace qkv
