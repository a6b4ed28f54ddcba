// Mixtures of experts.
#include "qkv/nn/experts.h"

#include "qkv/nn/context.h"
#include "qkv/ops/arithmetic.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/shape.h"

#include <gtest/gtest.h>

#include <cmath>

namespace qkv {
namespace {

// What the router of a layer says of x, whose numbers the jitter may change.
std::vector<float> router_logits(const Experts& experts, const Tensor& x, bool training, RandomKey key, int64_t layer) {
  std::vector<Routing> routing;
  Context context;
  context.training = training;
  context.key = key;
  context.routing = &routing;
  experts(x, layer, context);
  return routing.at(0).logits.to_vector<float>();
}

Experts some_experts(int64_t width, const ExpertsSpec& spec) {
  Experts experts(width, {.width = 3, .bias = false}, spec);
  int i = 0;
  experts.visit("", [&](const std::string&, Tensor& value, Role) {
    for (int64_t j = 0; j < value.numel(); ++j) value.data<float>()[j] = static_cast<float>(std::sin(++i));
  });
  return experts;
}

// The gradients of the sum of the results, parameter after parameter.
std::vector<float> gradients(Experts& experts, const std::vector<Tensor>& inputs) {
  experts.visit("", [](const std::string&, Tensor& value, Role) { require_grad(value); });
  for (const Tensor& x : inputs) {
    const Tensor y = experts(x, 0, {});
    backward(sum(multiply(y, y)));
  }
  std::vector<float> all;
  experts.visit("", [&](const std::string&, Tensor& value, Role) {
    const std::vector<float> one = gradient(value).to_vector<float>();
    all.insert(all.end(), one.begin(), one.end());
  });
  return all;
}

TEST(Experts, ManyTokensGetWhatFewGet) {
  constexpr int64_t width = 4, rows = 20, length = 11;  // neither 220 nor its shares are round numbers
  std::vector<float> numbers;
  for (int n = 0; n < rows * length * width; ++n) numbers.push_back(static_cast<float>(std::cos(n * n)));
  const Tensor x = Tensor::from({rows, length, width}, numbers);
  for (const ExpertsSpec& spec :
       {ExpertsSpec{.count = 2, .chosen = 1, .among_all = true}, ExpertsSpec{.count = 3, .chosen = 2},
        ExpertsSpec{.count = 2, .chosen = 1, .among_all = true, .capacity = 5}}) {
    Experts together = some_experts(width, spec), apart = some_experts(width, spec);
    const std::vector<float> all = together(x, 0, {}).to_vector<float>();
    std::vector<Tensor> parts;
    for (int64_t row = 0; row < rows; ++row) {
      parts.push_back(contiguous(x.narrow(0, row, 1)));
      const std::vector<float> alone = apart(parts.back(), 0, {}).to_vector<float>();
      for (size_t i = 0; i < alone.size(); ++i)
        EXPECT_NEAR(all[static_cast<size_t>(row * length * width) + i], alone[i], 1e-6F);
    }
    const std::vector<float> once = gradients(together, {x}), summed = gradients(apart, parts);
    ASSERT_EQ(once.size(), summed.size());
    for (size_t i = 0; i < once.size(); ++i) EXPECT_NEAR(once[i], summed[i], 1e-4F * (1 + std::abs(summed[i])));
  }
}

TEST(Experts, JitterChangesWhatTheRouterSeesWhileTraining) {
  constexpr int64_t width = 4;
  const Experts experts = some_experts(width, {.count = 2, .chosen = 1, .among_all = true, .jitter = 0.1F});
  std::vector<float> numbers;
  for (int n = 0; n < 40; ++n) numbers.push_back(static_cast<float>(std::cos(n)));
  const Tensor x = Tensor::from({2, 5, width}, numbers);
  const std::vector<float> still = router_logits(experts, x, false, {1, 1}, 0);
  EXPECT_EQ(still, router_logits(experts, x, false, {2, 2}, 1));
  const std::vector<float> moved = router_logits(experts, x, true, {1, 1}, 0);
  EXPECT_EQ(moved, router_logits(experts, x, true, {1, 1}, 0)) << "a block that is run again must see the same";
  EXPECT_NE(moved, router_logits(experts, x, true, {1, 1}, 1)) << "each layer has its own";
  EXPECT_NE(moved, router_logits(experts, x, true, {2, 1}, 0)) << "and each step";
  const std::vector<float> weights = experts.router.weight.to_vector<float>();
  for (size_t row = 0; row < 10; ++row)
    for (size_t e = 0; e < 2; ++e) {
      // No input moves by more than a tenth of itself.
      float most = 0;
      for (size_t d = 0; d < width; ++d) most += 0.1F * std::abs(numbers[row * width + d] * weights[e * width + d]);
      EXPECT_NE(moved[row * 2 + e], still[row * 2 + e]);
      EXPECT_LE(std::abs(moved[row * 2 + e] - still[row * 2 + e]), most + 1e-6F);
    }
}

}  // namespace
}  // namespace qkv
