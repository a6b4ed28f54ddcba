// What one step computes: accumulation, checkpointing, dropout, smoothing.
#include "tests/train/tiny.h"

namespace qkv {
namespace {

std::vector<float> gradients(Model& model, const Batch& batch, const Context& context) {
  model.visit([](const std::string&, Tensor& value, Role) { clear_gradient(value); });
  backward(model.loss(inputs_of(batch), context));
  return gradients_of(model);
}

class StepTest : public RunTest {};

// The mean of means would weigh a target in a short micro-batch more than one in a long one.
TEST_F(StepTest, AccumulationIsTheBigBatch) {
  const TrainerOptions big{.steps = 1, .clip = 0}, small{.steps = 1, .accumulate = 4, .clip = 0};
  Run whole(folder_ / "whole", tiny_model(), OptimizerOptions::Kind::sgd);
  Run parts(folder_ / "parts", tiny_model(), OptimizerOptions::Kind::sgd);
  const std::vector<float> before = parameters_of(*whole.model);
  const double loss = whole.train(RandomBatches(8, true), big).last_train_loss;
  EXPECT_NEAR(parts.train(RandomBatches(2, true), small).last_train_loss, loss, 1e-6);
  const std::vector<float> one = parameters_of(*whole.model), four = parameters_of(*parts.model);
  EXPECT_GT(largest_difference(one, before), 1e-4);
  EXPECT_LT(largest_difference(one, four), 1e-7);
}

TEST_F(StepTest, TheGradientsNormIsCut) {
  Run run(folder_, tiny_model(), OptimizerOptions::Kind::sgd);
  const std::vector<float> before = parameters_of(*run.model);
  run.train(RandomBatches(4), {.steps = 1, .clip = 1e-3});
  const std::vector<float> after = parameters_of(*run.model);
  double squares = 0;
  size_t i = 0;
  run.model->visit([&](const std::string&, Tensor& value, Role role) {
    const bool decays = role == Role::matrix || role == Role::residual_matrix || role == Role::embedding;
    const double rate = 1e-2 / 3;  // the first of two warm-up steps
    for (int64_t k = 0; k < value.numel(); ++k, ++i) {
      const double moved = after[i] - before[i] * (1 - (decays ? rate * 0.1 : 0));
      squares += moved * moved / (rate * rate * 1.9 * 1.9);  // Nesterov's first step: (1 + momentum) g
    }
  });
  EXPECT_NEAR(std::sqrt(squares), 1e-3, 1e-4);
}

TEST_F(StepTest, CheckpointingGivesTheSameGradients) {
  for (const char* family : {"gpt2", "llama"}) {
    const auto model = tiny_model(family, 0.2F);
    const Batch batch = RandomBatches(4, true).batch(0);
    Context context{.training = true, .key = RandomKey{1}.child(3)};
    const std::vector<float> kept = gradients(*model, batch, context);
    context.checkpoint = true;
    EXPECT_LT(largest_difference(gradients(*model, batch, context), kept), 1e-6) << family;
  }
}

TEST_F(StepTest, CheckpointingNeedsLessMemory) {
  Model model(spec_of(
      Config(family_named("gpt2", "test").config({.vocab = 13, .context = 128, .layers = 6, .heads = 2, .width = 32}),
             "test")));
  model.initialise(RandomKey{5});
  model.to(default_device());
  model.require_grad();
  Batch batch{.rows = 4, .length = 128};
  batch.input_ids.assign(4 * 128, 1);
  batch.labels.assign(4 * 128, 2);
  // What the tape holds between the forward and the backward pass.
  const auto held = [&](bool checkpoint) {
    const size_t before = memory_use(model.device()).now;
    const Tensor loss = model.loss(inputs_of(batch), {.training = true, .checkpoint = checkpoint});
    return memory_use(model.device()).now - before;
  };
  EXPECT_LT(held(true) * 3, held(false));
}

TEST_F(StepTest, DropoutIsAFunctionOfTheKey) {
  const auto model = tiny_model("gpt2", 0.3F);
  const Batch batch = RandomBatches(4).batch(0);
  const auto loss = [&](const Context& context) { return model->loss(inputs_of(batch), context).item(); };
  const Context one{.training = true, .key = RandomKey{1}}, two{.training = true, .key = RandomKey{2}};
  EXPECT_EQ(loss(one), loss(one));
  EXPECT_NE(loss(one), loss(two));
  EXPECT_NE(loss(one), loss({}));
  EXPECT_EQ(loss({}), loss({.key = RandomKey{1}}));  // none outside training
  EXPECT_EQ(gradients(*model, batch, one), gradients(*model, batch, one));
}

// (1 - s) (-log p_target) + s mean over the vocabulary of -log p
TEST_F(StepTest, LabelSmoothingByItsFormula) {
  const auto model = tiny_model();
  const Batch batch = RandomBatches(3, true).batch(0);
  const std::vector<float> logits = model->outputs(inputs_of(batch), {})[0].second.to_vector<float>();
  constexpr double s = 0.2;
  double sum = 0;
  for (size_t i = 0; i < batch.labels.size(); ++i) {
    if (batch.labels[i] == ignored_label) continue;
    double normaliser = 0, mean = 0;
    for (size_t v = 0; v < 13; ++v) normaliser += std::exp(static_cast<double>(logits[i * 13 + v]));
    for (size_t v = 0; v < 13; ++v) mean += (std::log(normaliser) - logits[i * 13 + v]) / 13;
    const double target = std::log(normaliser) - logits[i * 13 + static_cast<size_t>(batch.labels[i])];
    sum += (1 - s) * target + s * mean;
  }
  const double loss = model->loss(inputs_of(batch), {.label_smoothing = s}).item();
  EXPECT_NEAR(loss, sum / static_cast<double>(batch.target_count), 1e-5);
}

TEST_F(StepTest, ABatchWithoutTargetsIsNoDisaster) {
  const auto model = tiny_model();
  Batch batch = RandomBatches(2).batch(0);
  std::fill(batch.labels.begin(), batch.labels.end(), ignored_label);
  batch.target_count = 0;
  EXPECT_EQ(model->loss(inputs_of(batch), {}).item(), 0);
}

}  // namespace
}  // namespace qkv
