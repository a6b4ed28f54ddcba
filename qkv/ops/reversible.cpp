#include "qkv/ops/reversible.h"

#include "qkv/ops/arithmetic.h"
#include "qkv/ops/autograd.h"

namespace qkv {
namespace {

// Runs `branch` on x with the gradient `dy` of its result: parameters get their gradients. Gives the result, and the
// gradient of x.
struct Rerun {
  Tensor y, dx;
};
Rerun rerun(const std::function<Tensor(const Tensor&)>& branch, const Tensor& x, const Tensor& dy) {
  Rerun result;
  {
    const GradMode record_again(true);
    Tensor source = x.detach();
    record({&source}, {}, [&result](std::span<const Tensor> reached) { result.dx = reached[0]; });
    const Tensor y = branch(source);
    result.y = y.detach();
    backward(y, dy);
  }
  return result;
}

Tensor sum_of(const Tensor& a, const Tensor& b) { return !a ? b : !b ? a : add(a.detach(), b.detach()); }

}  // namespace

std::pair<Tensor, Tensor> reversible(const Tensor& x1, const Tensor& x2, std::vector<ReversibleLayer> layers) {
  const bool recorded = grad_enabled();
  Tensor y1 = x1.detach();
  Tensor y2 = x2.detach();
  {
    const NoGrad no_grad;
    for (const ReversibleLayer& layer : layers) {
      y1 = add(y1, layer.f(y2));
      y2 = add(y2, layer.g(y1));
    }
  }
  if (!recorded) return {y1, y2};
  record({&y1, &y2}, {&x1, &x2},
         [x1, x2, end1 = y1.detach(), end2 = y2.detach(), layers = std::move(layers)](std::span<const Tensor> grads) {
           const NoGrad no_grad;
           Tensor s1 = end1, s2 = end2;
           Tensor d1 = grads[0] ? grads[0] : Tensor::zeros(s1.shape(), s1.dtype(), s1.device());
           Tensor d2 = grads[1] ? grads[1] : Tensor::zeros(s2.shape(), s2.dtype(), s2.device());
           for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
             const Rerun g = rerun(layer->g, s1, d2);
             s2 = subtract(s2, g.y);
             d1 = sum_of(d1, g.dx);
             const Rerun f = rerun(layer->f, s2, d1);
             s1 = subtract(s1, f.y);
             d2 = sum_of(d2, f.dx);
           }
           accumulate_grad(x1, d1);
           accumulate_grad(x2, d2);
         });
  return {y1, y2};
}

}  // namespace qkv
