// Mixtures of experts.
#include "qkv/nn/experts.h"

#include "qkv/nn/context.h"

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

TEST(Experts, JitterChangesWhatTheRouterSeesWhileTraining) {
  constexpr int64_t width = 4;
  Experts experts(width, {.width = 3, .bias = false}, {.count = 2, .chosen = 1, .among_all = true, .jitter = 0.1F});
  int i = 0;
  experts.visit("", [&](const std::string&, Tensor& value, Role) {
    for (int64_t j = 0; j < value.numel(); ++j) value.data<float>()[j] = static_cast<float>(std::sin(++i));
  });
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
