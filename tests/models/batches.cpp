// A row's results depend neither on what stands beside it nor on how weights are arranged.
#include "qkv/models/family.h"
#include "qkv/models/model.h"
#include "qkv/ops/autograd.h"
#include "qkv/tensor/device.h"
#include "tests/models/ids.h"

#include <cmath>

namespace qkv {
namespace {

class EveryFamily : public testing::TestWithParam<std::string> {
 protected:
  EveryFamily() {
    const Sizes sizes{.vocab = 29, .context = 16, .layers = 2, .heads = 2, .width = 16};
    model_ = std::make_unique<Model>(spec_of(Config(family_named(GetParam(), "test").config(sizes), "test")));
    model_->initialise(RandomKey{11});
    model_->to(default_device());
  }
  // An encoder-decoder reads the same twice.
  std::vector<float> logits(Inputs inputs, DType compute = DType::f32) {
    const NoGrad no_grad;
    if (model_->spec().encoder) {
      inputs.decoder_input_ids = inputs.input_ids;
      inputs.decoder_attention_mask = inputs.attention_mask;
    }
    return model_->outputs(inputs, {.compute = compute})[0].second.to_vector<float>();
  }
  std::unique_ptr<Model> model_;
};

const std::vector<std::vector<int32_t>> rows = {{1, 2, 3, 4, 5, 6, 7, 8, 9}, {9, 8}, {5, 5, 5, 28, 0}};

TEST_P(EveryFamily, ABatchEqualsItsRowsAlone) {
  constexpr size_t length = 9;
  std::vector<int32_t> ids;
  std::vector<uint8_t> mask;
  for (const auto& row : rows)
    for (size_t t = 0; t < length; ++t) {
      ids.push_back(t < row.size() ? row[t] : 17);
      mask.push_back(t < row.size() ? 1 : 0);
    }
  const Shape shape{std::ssize(rows), length};
  const std::vector<float> together =
      logits({.input_ids = Tensor::from<int32_t>(shape, ids), .attention_mask = Tensor::from<uint8_t>(shape, mask)});
  if (model_->spec().task == Task::retrieval) {  // one vector a row
    const size_t numbers = together.size() / rows.size();
    for (size_t r = 0; r < rows.size(); ++r) {
      const std::vector<float> alone = logits({.input_ids = ids_of(rows[r])});
      for (size_t i = 0; i < numbers; ++i) ASSERT_NEAR(together[r * numbers + i], alone[i], 1e-5);
    }
    return;
  }
  const size_t width = together.size() / (rows.size() * length);
  for (size_t r = 0; r < rows.size(); ++r) {
    const Tensor whole = Tensor::from({1, std::ssize(rows[r])}, std::vector<uint8_t>(rows[r].size(), 1));
    const std::vector<float> alone = logits({.input_ids = ids_of(rows[r]), .attention_mask = whole});
    ASSERT_EQ(alone.size(), rows[r].size() * width);
    for (size_t i = 0; i < alone.size(); ++i)
      ASSERT_NEAR(together[r * length * width + i], alone[i], 1e-5) << "row " << r << ", number " << i;
  }
}

TEST_P(EveryFamily, WhatStandsUnderThePaddingDoesNotMatter) {
  const Tensor mask = Tensor::from<uint8_t>({1, 5}, {1, 1, 1, 0, 0});
  const std::vector<float> one = logits({.input_ids = ids_of({3, 4, 5, 6, 7}), .attention_mask = mask});
  const std::vector<float> two = logits({.input_ids = ids_of({3, 4, 5, 20, 0}), .attention_mask = mask});
  // Experts may get other numbers of rows, whose products may add up in another order.
  for (size_t i = 0; i < one.size() / 5 * 3; ++i) ASSERT_NEAR(one[i], two[i], 1e-6) << i;
}

TEST_P(EveryFamily, PackingKeepsTheNumbers) {
  const Inputs inputs{.input_ids = ids_of(rows[0])};
  const std::vector<float> before = logits(inputs);
  const std::vector<float> before_in_half = logits(inputs, DType::bf16);
  model_->pack({.floats = true});
  const std::vector<float> after = logits(inputs);
  const std::vector<float> after_in_half = logits(inputs, DType::bf16);
  for (size_t i = 0; i < before.size(); ++i) {
    ASSERT_NEAR(before[i], after[i], 1e-5) << i;
    ASSERT_NEAR(before_in_half[i], after_in_half[i], 0.05) << i;
  }
}

TEST_P(EveryFamily, LaterTokensReachEarlierPositionsOnlyWhereTheModelLooksBothWays) {
  const std::vector<float> one = logits({.input_ids = ids_of({3, 4, 5, 6})});
  const std::vector<float> two = logits({.input_ids = ids_of({3, 4, 5, 7})});
  double earlier = 0;
  for (size_t i = 0; i < one.size() / 4 * 3; ++i) earlier = std::max<double>(earlier, std::abs(one[i] - two[i]));
  if (model_->spec().causal() && !model_->spec().encoder) {
    EXPECT_LT(earlier, 1e-6);  // 0, were it not for the numbers of rows that experts get
  } else {
    EXPECT_GT(earlier, 1e-6);
  }
}

TEST_P(EveryFamily, TheSameTwiceIsTheSame) {
  for (const DType compute : {DType::f32, DType::bf16}) {
    const Inputs inputs{.input_ids = ids_of(rows[0])};
    EXPECT_EQ(logits(inputs, compute), logits(inputs, compute));
  }
}

TEST_P(EveryFamily, BlocksThatAreRunAgainGiveTheSameGradients) {
  if (!model_->spec().heads.language_model) GTEST_SKIP() << "no loss over tokens";
  const Inputs inputs{.input_ids = ids_of(rows[0]), .labels = ids_of(rows[0])};
  std::vector<std::vector<float>> gradients[2];
  for (const bool again : {false, true}) {
    model_->require_grad();
    backward(model_->loss(inputs, {.training = true, .checkpoint = again}));
    model_->visit([&](const std::string&, Tensor& value, Role) {
      gradients[again ? 1 : 0].push_back(gradient(value) ? gradient(value).to_vector<float>() : std::vector<float>());
    });
  }
  for (size_t p = 0; p < gradients[0].size(); ++p) {
    ASSERT_EQ(gradients[0][p].size(), gradients[1][p].size()) << "parameter " << p;
    for (size_t i = 0; i < gradients[0][p].size(); ++i)
      ASSERT_NEAR(gradients[0][p][i], gradients[1][p][i], 1e-6) << "parameter " << p << ", number " << i;
  }
}

std::vector<std::string> families() {
  std::vector<std::string> names;
  for (const Family* family : all_families())
    if (family->config != nullptr) names.emplace_back(family->type);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, EveryFamily, testing::ValuesIn(families()), [](const auto& each) {
  std::string name = each.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace qkv
