// Decoding with recorded steps: the same bits as without. On a GPU or the emulated device; the CPU records nothing.
#include "qkv/generate/replayed_step.h"

#include "qkv/models/pass_kind.h"
#include "qkv/generate/decoding.h"
#include "tests/generate/writers.h"
#include "tests/tensor/without_replays.h"

namespace qkv {
namespace {

std::unique_ptr<Model> long_model_of(const std::string& family) {
  const Sizes sizes{.vocab = vocab, .context = 300, .layers = 2, .heads = 2, .width = 16};
  auto model = std::make_unique<Model>(spec_of(Config(family_named(family, "test").config(sizes), "test")));
  model->initialise(RandomKey{3});
  model->to(default_device());
  return model;
}

Ids some_tokens(int32_t count, int32_t step) {
  Ids ids;
  for (int32_t i = 0; i < count; ++i) ids.push_back(i * step % vocab);
  return ids;
}

// Of every step, for two sequences of which the second begins otherwise; half way, both become the first.
std::vector<float> logits_of_steps(Model& model, DType compute, std::optional<DType> cache, int32_t prompt, int steps) {
  Decoding decoding(model, compute, cache, {some_tokens(prompt, 3), some_tokens(prompt, 5)}, steps);
  std::vector<float> all;
  for (int32_t i = 0; i < steps; ++i) {
    if (i == steps / 2) decoding.select_rows({0, 0});
    // Somebody else takes memory in between.
    const Tensor other = Tensor::zeros({2, 16}, DType::f32, default_device());
    decoding.advance({i * 7 % vocab, i * 11 % vocab});
    for (const size_t row : {0, 1}) all.insert(all.end(), decoding.logits(row).begin(), decoding.logits(row).end());
    EXPECT_EQ(other.to_vector<float>(), std::vector<float>(32, 0.0F));
  }
  return all;
}

class ReplayedSteps : public testing::TestWithParam<std::string> {};

TEST_P(ReplayedSteps, GiveTheSameBits) {
  if (!on_gpu()) GTEST_SKIP() << "the CPU records nothing";
  const std::unique_ptr<Model> model = long_model_of(GetParam());
  for (const DType compute : {DType::f32, DType::bf16, DType::f16}) {
    // Over the numbers of keys where kernels are started otherwise.
    for (const int32_t prompt : {5, 124}) {
      const auto logits = [&] { return logits_of_steps(*model, compute, {}, prompt, 12); };
      const std::vector<float> replayed = logits();
      const WithoutReplays without;
      EXPECT_EQ(replayed, logits()) << name_of(compute) << " " << prompt;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, ReplayedSteps, testing::Values("llama", "gpt2", "gemma2", "bloom", "opt", "mixtral"),
                         [](const auto& each) { return each.param; });

TEST(ReplayedStep, IsRecordedOnceForABound) {
  if (!on_gpu()) GTEST_SKIP() << "the CPU records nothing";
  const NoGrad no_grad;
  const std::unique_ptr<Model> model = long_model_of("llama");
  KeyValueCache cache(2, 1, 300);
  Context context;
  context.cache = &cache;
  const Ids prompt = some_tokens(126, 3);
  model->next_logits({.input_ids = Tensor::from<int32_t>({1, 126}, prompt)}, context);
  ReplayedStep step(*model, context);
  const auto run = [&](int32_t position) { return step.run(Ids{4}, Ids{position}); };
  EXPECT_FALSE(run(126)) << "the first step makes what is made once";
  EXPECT_EQ(cache.length(), 126);
  const Tensor first = run(126), second = run(127);
  EXPECT_TRUE(first.shares_memory(second));
  EXPECT_EQ(cache.length(), 128);
  EXPECT_FALSE(run(128).shares_memory(first)) << "more keys than it was recorded for";
  EXPECT_EQ(cache.length(), 129);
}

TEST(ReplayedStep, IsNotForWhatDependsOnTheLengthOrTheTokens) {
  for (const char* family : {"t5", "mamba", "transfo-xl", "xlnet", "mixtral"})
    EXPECT_FALSE(passes_alike(model_of(family)->spec())) << family;
  for (const char* family : {"gpt2", "llama", "gemma2", "gpt_neox"})
    EXPECT_TRUE(passes_alike(model_of(family)->spec())) << family;
}

TEST(ReplayedStep, TheCpuRecordsNothing) {
  if (on_gpu()) GTEST_SKIP() << "this is one";
  Replay replay;
  bool done = false;
  EXPECT_FALSE(replay.record(Device(), [&] { done = true; }));
  EXPECT_FALSE(done);
}

}  // namespace
}  // namespace qkv
