// Reversible layers against the same layers on the tape.
#include "qkv/ops/reversible.h"

#include "qkv/core/random.h"
#include "qkv/ops/activation.h"
#include "qkv/ops/arithmetic.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/linear.h"
#include "qkv/tensor/device.h"

#include <gtest/gtest.h>

namespace qkv {
namespace {

Tensor random_half(const Shape& shape, uint64_t seed) {
  Random draw(RandomKey{seed, 8});
  std::vector<float> values;
  for (int64_t i = 0; i < shape.numel(); ++i) values.push_back(0.5F * static_cast<float>(draw.normal()));
  return Tensor::from(shape, values, default_device());
}

struct Layers {
  std::vector<Tensor> weights;
  std::vector<ReversibleLayer> layers;

  explicit Layers(size_t count) {
    for (size_t i = 0; i < 2 * count; ++i) {
      weights.push_back(random_half({6, 6}, 10 + i));
      require_grad(weights.back());
    }
    for (size_t i = 0; i < count; ++i) layers.push_back({branch(weights[2 * i]), branch(weights[2 * i + 1])});
  }
  static std::function<Tensor(const Tensor&)> branch(const Tensor& weight) {
    return [weight](const Tensor& x) { return activate(linear(x, weight, {}), Activation::tanh); };
  }
};

TEST(Reversible, GivesTheResultsAndGradientsOfTheTape) {
  const Tensor of_y1 = random_half({4, 6}, 3), of_y2 = random_half({4, 6}, 4);
  std::vector<std::vector<float>> values, gradients;
  for (const bool on_tape : {true, false}) {
    const Layers all(3);
    Tensor x = random_half({4, 6}, 1);
    require_grad(x);
    const Tensor x1 = scale(x, 2), x2 = x1;  // both streams begin alike
    Tensor y1 = x1, y2 = x2;
    if (on_tape) {
      for (const ReversibleLayer& layer : all.layers) {
        y1 = add(y1, layer.f(y2));
        y2 = add(y2, layer.g(y1));
      }
    } else {
      std::tie(y1, y2) = reversible(x1, x2, all.layers);
    }
    backward(sum(add(multiply(y1, of_y1), multiply(y2, of_y2))));
    values.push_back(y1.to_vector<float>());
    values.push_back(y2.to_vector<float>());
    gradients.push_back(gradient(x).to_vector<float>());
    for (const Tensor& weight : all.weights) gradients.push_back(gradient(weight).to_vector<float>());
  }
  EXPECT_EQ(values[0], values[2]);
  EXPECT_EQ(values[1], values[3]);
  for (size_t i = 0; i < gradients.size() / 2; ++i)
    for (size_t j = 0; j < gradients[i].size(); ++j)
      EXPECT_NEAR(gradients[i][j], gradients[gradients.size() / 2 + i][j], 1e-5) << "gradient " << i;
}

TEST(Reversible, OneStreamUnusedIsNoObstacle) {
  const Layers all(2);
  Tensor x = random_half({4, 6}, 1);
  require_grad(x);
  backward(sum(reversible(x, x, all.layers).first));
  EXPECT_TRUE(gradient(x));
  EXPECT_TRUE(gradient(all.weights[0]));
  // The last g reaches the second stream alone.
  for (const float slope : gradient(all.weights[3]).to_vector<float>()) EXPECT_EQ(slope, 0);
}

// What the forward pass leaves behind holds two streams, however many layers there are: a branch that counts its own
// results still alive finds none.
TEST(Reversible, KeepsNothingOfTheLayers) {
  for (const size_t count : {1U, 8U}) {
    std::vector<Tensor> held;
    const auto branch = [&](const Tensor& x) {
      Tensor y = scale(x, 0.5F);
      held.push_back(y);
      return y;
    };
    Tensor x = random_half({4, 6}, 1);
    require_grad(x);
    const std::vector<ReversibleLayer> layers(count, ReversibleLayer{branch, branch});
    const auto [y1, y2] = reversible(x, x, layers);
    ASSERT_EQ(held.size(), 2 * count);
    for (const Tensor& result : held) EXPECT_EQ(result.storage_uses(), 1) << count << " layers";
  }
}

}  // namespace
}  // namespace qkv
