// Generation against the plain way: the whole text through the model again for every token.
#include "qkv/generate/generator.h"

#include "qkv/core/error.h"
#include "qkv/generate/sampling.h"
#include "tests/generate/writers.h"

#include <cmath>

namespace qkv {
namespace {

class GeneratorTest : public testing::TestWithParam<std::string> {
 protected:
  std::vector<Continuation> one(const Ids& prompt, const GenerationOptions& options) {
    return Generator(*model_, DType::f32).generate({prompt}, options)[0];
  }
  std::unique_ptr<Model> model_ = model_of(GetParam());
};

TEST_P(GeneratorTest, TheCacheEqualsRecomputing) {
  if (!model_->spec().causal()) GTEST_SKIP() << "what comes later changes what stood before";
  const Ids prompt = {4, 9, 2};
  const Continuation c = one(prompt, {.max_new_tokens = 20})[0];
  ASSERT_EQ(c.ids.size(), 20U);
  Ids ids = prompt;
  for (size_t i = 0; i < c.ids.size(); ++i) {
    std::vector<float> logits = recomputed_logits(*model_, ids, prompt.size());
    EXPECT_EQ(argmax(logits), c.ids[i]) << "token " << i;
    to_log_probabilities(logits);
    EXPECT_NEAR(logits[static_cast<size_t>(c.ids[i])], c.log_probabilities[i], 1e-4);
    ids.push_back(c.ids[i]);
  }
}

TEST_P(GeneratorTest, ABatchOfPromptsIsEachAlone) {
  const std::vector<Ids> prompts = {{1, 2, 3, 4, 5, 6, 7}, {9}, {4, 4, 8}, {30, 0}};
  for (const bool sample : {false, true}) {
    const GenerationOptions options{
        .max_new_tokens = 12, .sample = sample, .top_k = 10, .top_p = 0.95F, .seed = 4, .repetition_penalty = 1.1F};
    const auto together = Generator(*model_, DType::f32).generate(prompts, options);
    for (size_t i = 0; i < prompts.size(); ++i) {
      const Continuation alone = one(prompts[i], options)[0];
      EXPECT_EQ(together[i][0].ids, alone.ids) << i;
      for (size_t t = 0; t < alone.log_probabilities.size(); ++t)
        EXPECT_NEAR(together[i][0].log_probabilities[t], alone.log_probabilities[t], 1e-4);
    }
  }
}

TEST_P(GeneratorTest, BeamsOfABatchAreThoseOfEachAlone) {
  const std::vector<Ids> prompts = {{1, 2, 3, 4, 5}, {9}};
  const GenerationOptions options{.max_new_tokens = 8, .num_beams = 3, .num_return_sequences = 2};
  const auto together = Generator(*model_, DType::f32).generate(prompts, options);
  for (size_t i = 0; i < prompts.size(); ++i) {
    const auto alone = one(prompts[i], options);
    for (size_t r = 0; r < 2; ++r) {
      EXPECT_EQ(together[i][r].ids, alone[r].ids);
      EXPECT_NEAR(together[i][r].score, alone[r].score, 1e-4);
    }
  }
}

TEST_P(GeneratorTest, SeedsDecide) {
  GenerationOptions options{.max_new_tokens = 20, .sample = true, .temperature = 3, .seed = 1};
  const Ids first = one({5}, options)[0].ids;
  EXPECT_EQ(one({5}, options)[0].ids, first);
  options.seed = 2;
  EXPECT_NE(one({5}, options)[0].ids, first);
  options.seed = 1;
  options.num_return_sequences = 3;
  const auto several = one({5}, options);
  EXPECT_EQ(several[0].ids, first);
  EXPECT_NE(several[1].ids, several[0].ids);
  EXPECT_NE(several[1].ids, several[2].ids);
}

TEST_P(GeneratorTest, AnyEndIdEnds) {
  const Continuation free = one({4, 9, 2}, {.max_new_tokens = 20})[0];
  const int32_t end = free.ids[5];
  const size_t first = static_cast<size_t>(std::find(free.ids.begin(), free.ids.end(), end) - free.ids.begin());
  const Continuation c = one({4, 9, 2}, {.max_new_tokens = 20, .end_ids = {77, end}})[0];
  EXPECT_TRUE(c.ended);
  EXPECT_EQ(c.ids, Ids(free.ids.begin(), free.ids.begin() + static_cast<ptrdiff_t>(first) + 1));
  EXPECT_FALSE(free.ended);
  const Continuation held = one({4, 9, 2}, {.max_new_tokens = 20, .min_new_tokens = 20, .end_ids = {end}})[0];
  EXPECT_EQ(held.ids.size(), 20U);
  EXPECT_EQ(std::find(held.ids.begin(), held.ids.end(), end), held.ids.end());
}

TEST_P(GeneratorTest, OneRowEndsAndTheOthersGoOn) {
  const std::vector<Ids> prompts = {{1, 2, 3}, {9}, {7, 7}};
  const GenerationOptions plain{.max_new_tokens = 10};
  const auto free = Generator(*model_, DType::f32).generate(prompts, plain);
  std::vector<int> seen(3);
  const auto cut = Generator(*model_, DType::f32).generate(prompts, plain, [&](size_t row, int32_t) {
    return ++seen[row] < (row == 1 ? 3 : 100);
  });
  EXPECT_EQ(cut[0][0].ids, free[0][0].ids);
  EXPECT_EQ(cut[1][0].ids, Ids(free[1][0].ids.begin(), free[1][0].ids.begin() + 3));
  EXPECT_EQ(cut[2][0].ids, free[2][0].ids);
  EXPECT_EQ(seen, (std::vector<int>{10, 3, 10}));
}

TEST_P(GeneratorTest, StopsWhenThePositionsRunOut) {
  EXPECT_THROW(one({}, {}), Error);
  if (model_->spec().encoder) {
    const bool limited = model_->spec().max_positions() > 0;
    EXPECT_EQ(one({4}, {.max_new_tokens = 100})[0].ids.size(), limited ? 31U : 100U);
    if (limited) {
      EXPECT_THROW(one(Ids(33, 1), {}), Error) << "the encoder's positions are as many";
    }
    return;
  }
  if (model_->spec().max_positions() == 0) GTEST_SKIP() << "any length will do";
  EXPECT_EQ(one(Ids(30, 1), {.max_new_tokens = 100})[0].ids.size(), 2U);
  EXPECT_THROW(one(Ids(32, 1), {}), Error);
}

TEST_P(GeneratorTest, IdsOutsideTheVocabularyAreRefused) {
  EXPECT_THROW(one({vocab}, {}), Error);
  EXPECT_THROW(one({-1}, {}), Error);
}

// A model that diverged says so instead of writing its first token for ever.
TEST_P(GeneratorTest, ScoresThatAreNoNumbersAreAnError) {
  model_->visit([](const std::string&, Tensor& value, Role) {
    std::vector<float> broken = value.to_vector<float>();
    broken[0] = NAN;
    value.assign(Tensor::from(value.shape(), broken));
  });
  for (const bool sample : {false, true}) try {
      one({0, 1}, {.max_new_tokens = 3, .sample = sample});
      FAIL();
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("not finite"), std::string::npos) << error.what();
    }
}

TEST_P(GeneratorTest, WhenEverythingIsBannedTheBanGives) {
  Ids everything;
  for (int32_t id = 0; id < vocab - 5; ++id) everything.push_back(id);
  for (const bool sample : {false, true}) {
    const Continuation c = one(everything, {.max_new_tokens = 6, .sample = sample, .no_repeat_ngram_size = 1})[0];
    EXPECT_EQ(c.ids.size(), 6U);
    for (const int32_t id : c.ids) EXPECT_LT(id, vocab);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, GeneratorTest, testing::ValuesIn(writing_families()), [](const auto& each) {
  std::string name = each.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(Generator, WantsACausalModel) {
  Model model(
      spec_of(Config(family_named("bert", "test").config({.vocab = 9, .layers = 1, .heads = 1, .width = 8}), "test")));
  EXPECT_THROW(Generator(model, DType::f32), Error);
}

}  // namespace
}  // namespace qkv
