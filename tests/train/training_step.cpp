// Training with recorded steps: the same bits as without. On a GPU or the emulated device; the CPU records nothing.
#include "qkv/train/training_step.h"

#include "qkv/core/notice.h"
#include "tests/tensor/without_replays.h"
#include "tests/train/tiny.h"

namespace qkv {
namespace {

using Kind = OptimizerOptions::Kind;

bool on_gpu() { return default_device().type == Device::Type::cuda; }

// A model in training.
struct Learner {
  Learner(std::unique_ptr<Model> with, const OptimizerOptions& how, const TrainingStepOptions& options)
      : model(std::move(with)), optimizer(*model, how), step(*model, optimizer, options) {}

  // Step `index` with batches of `rows` rows; returns its loss.
  double learn(int64_t index, int64_t rows = 2, int64_t micro_batches = 1, bool ignored = false) {
    std::vector<Inputs> inputs;
    LossCounts counts;
    for (int64_t i = 0; i < micro_batches; ++i) {
      const Batch batch = RandomBatches(rows, ignored).batch(index * micro_batches + i);
      counts.tokens += batch.target_count;
      inputs.push_back(inputs_of(batch));
    }
    step.give(index, 1e-2F / static_cast<float>(index + 1), inputs, counts);
    return step.loss();
  }

  std::unique_ptr<Model> model;
  Optimizer optimizer;
  TrainingStep step;
};

struct Case {
  const char* family;
  OptimizerOptions optimizer;
  TrainingStepOptions options;
  int64_t micro_batches;
  int padding = -1;  // the token whose embedding its occurrences do not train
};

// Everything that five steps give: losses, norms, parameters.
std::vector<double> results(const Case& one, int* replays) {
  Learner learner(tiny_model(one.family, 0.2F, one.padding), one.optimizer, one.options);
  std::vector<double> all;
  for (int64_t i = 0; i < 5; ++i) {
    all.push_back(learner.learn(i, 2, one.micro_batches));
    all.push_back(learner.step.norm());
    *replays += learner.step.replayed() ? 1 : 0;
    // Somebody else takes memory in between.
    const Tensor other = Tensor::zeros({64, 16}, DType::f32, default_device());
    EXPECT_EQ(other.to_vector<float>(), std::vector<float>(64 * 16, 0.0F));
  }
  const std::vector<float> parameters = parameters_of(*learner.model);
  all.insert(all.end(), parameters.begin(), parameters.end());
  return all;
}

TEST(ReplayedTraining, GivesTheSameBits) {
  if (!on_gpu()) GTEST_SKIP() << "the CPU records nothing";
  const Case cases[] = {
      {"gpt2", {}, {.clip = 0.5F}, 1},
      {"llama",
       {.stochastic_rounding = true},
       {.compute = DType::bf16, .checkpoint_activations = true, .label_smoothing = 0.1F},
       2},
      {"gemma2", {.kind = Kind::lion}, {.compute = DType::bf16, .clip = 0}, 1},
      {"gpt2", {.kind = Kind::sgd}, {.compute = DType::bf16}, 1},
      {"llama", {}, {}, 1, 0},
      {"opt", {}, {.compute = DType::bf16}, 1, 1},
  };
  for (const Case& one : cases) {
    int replays = 0, none = 0;
    const std::vector<double> with = results(one, &replays);
    const WithoutReplays without;
    EXPECT_EQ(with, results(one, &none)) << one.family << " " << name_of(one.options.compute);
    EXPECT_EQ(replays, 4) << "all but the first";
    EXPECT_EQ(none, 0);
  }
}

// A copy that somebody makes or gives up in between: what was recorded would write into the wrong memory.
TEST(ReplayedTraining, RecordsAnewWhereCopiesLieElsewhere) {
  if (!on_gpu()) GTEST_SKIP() << "the CPU records nothing";
  std::vector<std::vector<float>> after;
  for (const bool disturbed : {false, true}) {
    Learner learner(tiny_model(), {}, {.compute = DType::bf16});
    for (int64_t i = 0; i < 7; ++i) {
      if (disturbed && i == 3)
        learner.model->visit([](const std::string&, Tensor& value, Role) { forget_half(value); });
      learner.learn(i);
      EXPECT_EQ(learner.step.replayed(), i > 0 && !(disturbed && i == 3));
    }
    after.push_back(parameters_of(*learner.model));
  }
  EXPECT_EQ(after[0], after[1]);
}

// Each replay must draw masks of its own: with the same batch, the loss of a model that learns nothing varies.
TEST(ReplayedTraining, DropsAnewInEveryStep) {
  if (!on_gpu()) GTEST_SKIP() << "the CPU records nothing";
  Learner learner(tiny_model("gpt2", 0.3F), {.kind = Kind::sgd}, {});
  const Inputs inputs = inputs_of(RandomBatches(2).batch(0));
  std::vector<double> losses;
  for (int64_t i = 0; i < 6; ++i) {
    learner.step.give(i, 0, {&inputs, 1}, {.tokens = 16});
    losses.push_back(learner.step.loss());
    EXPECT_EQ(learner.step.replayed(), i > 0);
  }
  for (size_t i = 0; i < losses.size(); ++i)
    for (size_t j = 0; j < i; ++j) EXPECT_NE(losses[i], losses[j]) << i << " " << j;
}

TEST(ReplayedTraining, ServesOneFormOfBatches) {
  if (!on_gpu()) GTEST_SKIP() << "the CPU records nothing";
  Learner learner(tiny_model(), {}, {}), other(tiny_model(), {}, {});
  const auto replays = [&](int64_t index, int64_t rows, int64_t micro_batches = 1, bool ignored = false) {
    const double loss = learner.learn(index, rows, micro_batches, ignored);
    const WithoutReplays without;
    EXPECT_EQ(loss, other.learn(index, rows, micro_batches, ignored)) << index;
    EXPECT_EQ(learner.step.norm(), other.step.norm()) << index;
    EXPECT_FALSE(other.step.replayed());
    return learner.step.replayed();
  };
  EXPECT_FALSE(replays(0, 2));
  EXPECT_TRUE(replays(1, 2));
  EXPECT_FALSE(replays(2, 3)) << "another form";
  EXPECT_TRUE(replays(3, 2)) << "what was recorded is still there";
  EXPECT_FALSE(replays(4, 2, 1, true)) << "a mean over fewer targets";
  EXPECT_FALSE(replays(5, 2, 2));
  EXPECT_TRUE(replays(6, 2, 2)) << "twice the same: recorded";
  EXPECT_FALSE(replays(7, 2)) << "in the place of the other";
  EXPECT_TRUE(replays(8, 2));
  EXPECT_TRUE(learner.step.forget_recording());
  EXPECT_FALSE(replays(9, 2)) << "and none is made any more";
  EXPECT_FALSE(replays(10, 2));
  EXPECT_EQ(parameters_of(*learner.model), parameters_of(*other.model));
}

// What the host must read on the way is done without replays, and as well, and it is said why.
TEST(ReplayedTraining, LeavesWhatCannotBeRecorded) {
  std::vector<std::string> said;
  handle_notices([&](const std::string&, const std::string& what) { said.push_back(what); });
  for (const auto& [family, kind] : {std::pair{"mixtral", Kind::adamw}, {"gpt2", Kind::muon}}) {
    Learner learner(tiny_model(family), {.kind = kind}, {});
    std::vector<double> losses;
    const Inputs inputs = inputs_of(RandomBatches(4).batch(0));
    for (int64_t i = 0; i < 8; ++i) {
      learner.step.give(i, 1e-2F, {&inputs, 1}, {.tokens = 32});
      losses.push_back(learner.step.loss());
      EXPECT_FALSE(learner.step.replayed()) << family;
    }
    EXPECT_LT(losses.back(), losses.front() - 0.05) << family;
  }
  handle_notices({});
  if (!on_gpu()) return;
  ASSERT_FALSE(said.empty());
  for (const std::string& what : said) EXPECT_NE(what.find("cannot be recorded"), std::string::npos) << what;
}

TEST(ReplayedTraining, RefusesBadIdsInEveryStep) {
  Learner learner(tiny_model(), {}, {});
  for (int64_t i = 0; i < 3; ++i) learner.learn(i);
  const std::vector<float> before = parameters_of(*learner.model);
  for (const bool label : {false, true})
    for (const int32_t bad : {13, -1, -99, 1 << 30}) {
      Batch batch = RandomBatches(2).batch(9);
      (label ? batch.labels : batch.input_ids)[3] = bad;
      const Inputs inputs = inputs_of(batch);
      EXPECT_THROW(learner.step.give(3, 1e-2F, {&inputs, 1}, {.tokens = 16}), Error) << bad;
    }
  EXPECT_EQ(parameters_of(*learner.model), before);
}

}  // namespace
}  // namespace qkv
