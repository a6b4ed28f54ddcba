// Gaps filled by a model that is asked for tokens beside the text.
#include "qkv/ops/activation.h"
#include "qkv/ops/autograd.h"
#include "qkv/tasks/fill.h"
#include "tests/tasks/tiny_model.h"

#include <gtest/gtest.h>

#include <cmath>

namespace qkv {
namespace {

// The probabilities at each mask, by token.
std::vector<std::vector<double>> probabilities(const MaskFiller& filler, const std::string& text) {
  std::vector<std::vector<double>> all;
  const int64_t vocabulary = filler.base().model().spec().vocab;
  for (const auto& of_mask : filler.fill(text, vocabulary)) {
    all.emplace_back(static_cast<size_t>(vocabulary));
    for (const auto& filling : of_mask) all.back()[static_cast<size_t>(filling.token)] = filling.score;
  }
  return all;
}

TEST(FillXlnet, AsksForWhatTheRestOfTheTextSays) {
  const TinyModel tiny("xlnet");
  const MaskFiller filler(tiny.path);
  const std::string text = "w17 [MASK] w23 [MASK] w42";
  const auto got = probabilities(filler, text);
  ASSERT_EQ(got.size(), 2U);
  // The reference's way: perm_mask hides both masks, target_mapping asks at them.
  const Row row = filler.row(text);
  const int64_t T = std::ssize(row.ids);
  const int32_t mask = *filler.base().tokenizer().special().mask;
  std::vector<uint8_t> hidden;
  std::vector<int32_t> targets;
  for (int64_t t = 0; t < T; ++t) {
    if (row.ids[static_cast<size_t>(t)] == mask) targets.push_back(static_cast<int32_t>(t));
    for (const int32_t id : row.ids) hidden.push_back(id == mask ? 1 : 0);
  }
  const NoGrad no_grad;
  const Tensor logits = filler.base()
                            .model()
                            .outputs({.input_ids = Tensor::from({1, T}, row.ids),
                                      .hidden_pairs = Tensor::from({1, T, T}, hidden),
                                      .targets = Tensor::from({1, 2}, targets)},
                                     {})[0]
                            .second;
  const std::vector<float> want = softmax(logits).to_vector<float>();
  for (size_t m = 0; m < 2; ++m)
    for (size_t v = 0; v < got[m].size(); ++v) ASSERT_NEAR(got[m][v], want[m * got[m].size() + v], 1e-6);
}

TEST(FillXlnet, TheMaskTokenItselfSaysNothing) {
  const TinyModel tiny("xlnet");
  const MaskFiller filler(tiny.path);
  const auto before = probabilities(filler, "w17 [MASK] w23 [MASK]");
  Model& model = filler.base().model();
  const int64_t mask = *filler.base().tokenizer().special().mask;
  // The row of the mask's embedding is also that of its logit, so all tokens but the mask are compared, relatively.
  model.visit([&](const std::string& name, Tensor& value, Role) {
    if (name != "embeddings.token") return;
    std::vector<float> changed = value.to_vector<float>();
    for (int64_t d = 0; d < value.size(1); ++d) changed[static_cast<size_t>(mask * value.size(1) + d)] += 3;
    value = Tensor::from(value.shape(), changed, value.device());
  });
  const auto after = probabilities(filler, "w17 [MASK] w23 [MASK]");
  for (size_t m = 0; m < before.size(); ++m)
    for (size_t v = 6; v < before[m].size(); ++v)
      ASSERT_NEAR(after[m][v] / after[m][5], before[m][v] / before[m][5], 1e-4 * before[m][v] / before[m][5]);
}

TEST(FillXlnet, ABatchIsEachAlone) {
  const TinyModel tiny("xlnet");
  const MaskFiller filler(tiny.path);
  const std::vector<std::string> texts = {"[MASK] w5 w6 w7 w8 w9 [MASK] w10 [MASK]", "w20 [MASK]",
                                          "w11 w12 [MASK] [MASK]"};
  std::vector<Row> rows;
  for (const std::string& text : texts) rows.push_back(filler.row(text));
  const std::vector<MaskFillings> together = filler.fill(rows, 3);
  for (size_t i = 0; i < texts.size(); ++i) {
    const MaskFillings alone = filler.fill(texts[i], 3);
    ASSERT_EQ(together[i].size(), alone.size());
    for (size_t m = 0; m < alone.size(); ++m)
      for (size_t k = 0; k < 3; ++k) {
        EXPECT_EQ(together[i][m][k].token, alone[m][k].token);
        EXPECT_NEAR(together[i][m][k].score, alone[m][k].score, 1e-5);
      }
  }
}

}  // namespace
}  // namespace qkv
