// What a training step gives to a device without waiting for it: only work that does not wait can be recorded.
#include "qkv/ops/arithmetic.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/cross_entropy.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/norm.h"
#include "qkv/ops/shape.h"
#include "qkv/tensor/device.h"
#include "qkv/tensor/replay.h"

#include <gtest/gtest.h>

namespace qkv {
namespace {

Tensor row(const Shape& shape) {
  std::vector<float> values;
  for (int64_t i = 0; i < shape.numel(); ++i) values.push_back(static_cast<float>((7 * i + 3) % 11) / 11);
  return Tensor::from(shape, values, default_device());
}

TEST(Waiting, NotForALossNorForItsGradients) {
  if (default_device() == Device()) GTEST_SKIP() << "the CPU does its work at once";
  const Tensor x = row({6, 5}), targets = Tensor::from<int32_t>({6}, {0, 3, -100, 1, 2, 3});
  Tensor weight = row({5, 5}), head = row({4, 5}), scales = row({5});
  for (Tensor* parameter : {&weight, &head, &scales}) require_grad(*parameter);
  const auto step = [&] {
    for (const Tensor* parameter : {&weight, &head, &scales}) clear_gradient(*parameter);
    const Tensor h = add_rms_norm(x, linear(x, weight, {}), scales, 1e-5F).y;
    const Tensor loss =
        add(linear_cross_entropy(h, head, {}, targets, 0.2F, 0), cross_entropy(linear(h, head, {}), targets, 0.1F, 0));
    backward(loss);
  };
  step();
  const std::vector<float> expected = gradient(weight).to_vector<float>();
  Replay replay;
  ASSERT_TRUE(replay.record(default_device(), step));
  replay.play();
  EXPECT_EQ(gradient(weight).to_vector<float>(), expected);
}

// Where a loss is made of one number twice, its gradient is the sum of two that backward() began with.
TEST(Waiting, TheFirstGradientStaysOne) {
  for (int times = 0; times < 2; ++times) {
    Tensor x = row({3});
    require_grad(x);
    const Tensor one = select(x, 0, 1);
    backward(add(one, one));
    EXPECT_EQ(gradient(x).to_vector<float>(), (std::vector<float>{0, 2, 0}));
    clear_gradient(x);
    backward(sum(x));
    EXPECT_EQ(gradient(x).to_vector<float>(), (std::vector<float>{1, 1, 1}));
  }
}

}  // namespace
}  // namespace qkv
