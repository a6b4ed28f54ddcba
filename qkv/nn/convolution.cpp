#include "qkv/nn/convolution.h"

#include "qkv/ops/activation.h"
#include "qkv/ops/arithmetic.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

// x with zeros where the mask hides a position.
Tensor shown(const Tensor& x, const Tensor& mask) {
  if (!mask) return x;
  const std::vector<uint8_t> seen = mask.to_vector<uint8_t>();
  std::vector<float> factors;
  factors.reserve(static_cast<size_t>(x.numel()));
  for (const uint8_t one : seen) factors.insert(factors.end(), static_cast<size_t>(x.size(2)), one != 0 ? 1.0F : 0.0F);
  return multiply(x, cast(Tensor::from(x.shape(), factors, x.device()), x.dtype()));
}

// y[b,t] = x[b, t + by], zeros from outside.
Tensor moved(const Tensor& x, int64_t by) {
  const int64_t T = x.size(1);
  const int64_t size = std::abs(by);
  if (by == 0) return x;
  Shape shape = x.shape();
  shape.set(1, std::min(size, T));
  const Tensor zeros = Tensor::zeros(shape, x.dtype(), x.device());
  if (size >= T) return zeros;
  const std::vector<Tensor> parts =
      split(x, 1, by > 0 ? std::vector<int64_t>{size, T - size} : std::vector<int64_t>{T - size, size});
  return by > 0 ? concat({parts[1], zeros}, 1) : concat({zeros, parts[0]}, 1);
}

}  // namespace

Convolution::Convolution(int64_t width, const ConvolutionSpec& convolution_spec, const NormSpec& norm_spec)
    : spec(convolution_spec),
      weight(Tensor::empty({width, width, spec.size})),
      bias(Tensor::empty({width})),
      norm(width, norm_spec) {}

Tensor Convolution::operator()(const Tensor& x, const Tensor& y, float p, int64_t layer, const Context& context) const {
  const Tensor input = shown(x, context.key_mask);
  Tensor sum;
  for (int64_t i = 0; i < spec.size; ++i) {
    const Tensor part = linear(moved(input, i - spec.size / 2), select(weight, 2, i), i == 0 ? bias : Tensor());
    sum = sum ? add(sum, part) : part;
  }
  sum = dropout(sum, context.training ? p : 0, context.dropout_key(layer, 7));
  return norm.add(activate(sum, spec.activation), y).y;
}

void Convolution::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  visitor(prefix + ".weight", weight, Role::embedding);  // no matrix: what optimizers do to those does not fit
  visitor(prefix + ".bias", bias, Role::bias);
  norm.visit(prefix + ".norm", visitor);
}

}  // namespace qkv
