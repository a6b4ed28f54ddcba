#include "qkv/ops/losses.h"

#include "qkv/ops/arithmetic.h"
#include "qkv/ops/check.h"
#include "qkv/ops/cross_entropy.h"
#include "qkv/ops/shape.h"

#include <vector>

namespace qkv {

Tensor squared_error(const Tensor& x, const Tensor& targets, float factor) {
  check(targets && targets.dtype() == DType::f32 && targets.numel() == x.numel(), "squared_error",
        "expected {} f32 targets", x.numel());
  const Tensor difference = subtract(x, cast(targets.view(x.shape()).on(x.device()), x.dtype()));
  return scale(sum(multiply(difference, difference)), factor);
}

Tensor binary_cross_entropy(const Tensor& x, const Tensor& targets, float factor) {
  check(targets && targets.dtype() == DType::f32 && targets.numel() == x.numel(), "binary_cross_entropy",
        "expected {} f32 targets", x.numel());
  // sigmoid(x) is the softmax of (x, 0), so two classes say the same.
  const Tensor column = reshape(x, {x.numel(), 1});
  const Tensor pairs = concat({column, Tensor::zeros(column.shape(), x.dtype(), x.device())}, 1);
  std::vector<int32_t> classes;
  for (const float target : targets.to_vector<float>()) {
    if (target != 0 && target != 1)
      throw Error("binary_cross_entropy", fmt::format("a label is {}; each must be 0 or 1", target));
    classes.push_back(target == 1 ? 0 : 1);
  }
  return cross_entropy(pairs, Tensor::from<int32_t>({x.numel()}, classes), factor);
}

}  // namespace qkv
