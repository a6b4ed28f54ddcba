// The adaptive softmax is a distribution, and its loss is that distribution's.
#include "qkv/nn/adaptive.h"

#include "qkv/core/error.h"
#include "qkv/ops/autograd.h"
#include "tests/nn/random_tensor.h"

#include <cmath>

namespace qkv {
namespace {

struct Shapes {
  const char* name;
  AdaptiveSpec spec;
};

class Adaptive : public testing::TestWithParam<Shapes> {
 protected:
  static constexpr int64_t vocab = 23;
  static constexpr int64_t width = 8;
  Adaptive() : embedding(vocab, width, GetParam().spec), softmax(embedding, width) {
    uint64_t seed = 1;
    const auto fill = [&](const std::string&, Tensor& value, Role) { value = random(value.shape(), seed++); };
    embedding.visit("e", fill);
    softmax.visit("s", fill);
    softmax.shared = embedding;
  }
  AdaptiveEmbedding embedding;
  AdaptiveSoftmax softmax;
};

TEST_P(Adaptive, ProbabilitiesAddUpToOneAndGiveTheLoss) {
  const Tensor h = random({5, width}, 99);
  const std::vector<float> log_p = softmax.log_probabilities(h).to_vector<float>();
  ASSERT_EQ(log_p.size(), 5U * vocab);
  for (size_t row = 0; row < 5; ++row) {
    double total = 0;
    for (size_t word = 0; word < vocab; ++word) total += std::exp(log_p[row * vocab + word]);
    EXPECT_NEAR(total, 1, 1e-5);
  }
  const std::vector<int32_t> targets = {0, 22, -100, 9, 4};
  double expected = 0;
  for (size_t row = 0; row < 5; ++row)
    if (targets[row] >= 0) expected -= 0.25 * log_p[row * vocab + static_cast<size_t>(targets[row])];
  EXPECT_NEAR(softmax.loss(h, Tensor::from<int32_t>({5}, targets), 0.25F, 0).item(), expected, 1e-5);
}

TEST_P(Adaptive, EachWordHasItsVectorWhereverItStands) {
  const Context context;
  const Tensor one = embedding(Tensor::from<int32_t>({1, 1}, {21}), context);
  const Tensor many = embedding(Tensor::from<int32_t>({2, 2}, {3, 11, 21, 0}), context);
  const std::vector<float> alone = one.to_vector<float>();
  const std::vector<float> among = many.narrow(0, 1, 1).narrow(1, 0, 1).to_vector<float>();
  ASSERT_EQ(alone.size(), among.size());
  // Products of one row and of several may add up in another order.
  for (size_t i = 0; i < alone.size(); ++i) EXPECT_NEAR(alone[i], among[i], 1e-6);
  EXPECT_THROW(embedding(Tensor::from<int32_t>({1, 1}, {23}), context), Error);
}

INSTANTIATE_TEST_SUITE_P(
    All, Adaptive,
    testing::Values(
        Shapes{"plain", {.cutoffs = {}, .width = 8, .predicts = true, .own = {true}}},
        Shapes{"one_table", {.cutoffs = {5, 10}, .width = 8, .predicts = true, .own = {true, true, true}}},
        Shapes{"narrow_table", {.cutoffs = {5, 10}, .width = 4, .predicts = true, .own = {true, false, true}}},
        Shapes{"divided",
               {.cutoffs = {5, 10}, .width = 8, .division = 2, .predicts = true, .own = {true, false, false}}}),
    [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace qkv
