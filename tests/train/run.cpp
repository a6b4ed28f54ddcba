// A run from its start to its end, over interruptions and disasters.
#include "tests/train/tiny.h"

namespace qkv {
namespace {

using Kind = OptimizerOptions::Kind;

TEST_F(RunTest, ResumingIsTheStraightRunBitForBit) {
  const RandomBatches eval(2, false, 2);
  // Steps between lines of metrics and between saves do not divide each other: a line's mean may begin before a save.
  const TrainerOptions options{.steps = 17, .accumulate = 2, .log_every = 5, .eval_every = 6, .save_every = 4};
  // A device's batches are read while it works on the step before. Emulated ones are slow: there a part is enough.
  const bool host = default_device() == Device();
  const std::vector<Kind> kinds =
      host ? std::vector{Kind::adamw, Kind::sgd, Kind::lion, Kind::muon} : std::vector{Kind::adamw, Kind::muon};
  for (const Kind kind : kinds) {
    const fs::path straight_folder = folder_ / fmt::format("straight-{}", static_cast<int>(kind));
    Run straight(straight_folder, tiny_model("gpt2", 0.1F), kind);
    straight.train(RandomBatches(2, true), options, &eval);
    for (const int64_t stop_in : host ? std::vector<int64_t>{0, 3, 6, 10, 16} : std::vector<int64_t>{0, 10}) {
      const fs::path folder = folder_ / fmt::format("resumed-{}-{}", static_cast<int>(kind), stop_in);
      {
        Run first(folder, tiny_model("gpt2", 0.1F), kind);
        RandomBatches batches(2, true);
        batches.before_batch = [&](int64_t n) { first.stop = first.stop || n / 2 == stop_in + (host ? 0 : 1); };
        const TrainResult result = first.train(batches, options, &eval);
        EXPECT_EQ(result.state.step, stop_in + 1);
        EXPECT_EQ(result.interrupted, stop_in + 1 < 17);
      }
      Run second(folder, tiny_model("gpt2", 0.1F), kind);
      const TrainResult result = second.train(RandomBatches(2, true), options, &eval);
      EXPECT_EQ(result.state.step, 17);
      EXPECT_EQ(parameters_of(*second.model), parameters_of(*straight.model)) << stop_in;
      EXPECT_EQ(metrics(folder), metrics(straight_folder)) << stop_in;
      EXPECT_EQ(read_file(folder / "model.safetensors"), read_file(straight_folder / "model.safetensors"));
      EXPECT_EQ(read_file(folder / "state/state.safetensors"), read_file(straight_folder / "state/state.safetensors"));
    }
  }
}

TEST_F(RunTest, ResumingRestoresCopiesRoundedAtRandom) {
  const OptimizerOptions at_random{.stochastic_rounding = true};
  const TrainerOptions options{.steps = 6, .compute = DType::bf16};
  TrainerOptions half = options;
  half.save_every = 3;
  Run nearest(folder_ / "nearest", tiny_model());
  nearest.train(RandomBatches(2), options);
  Run straight(folder_ / "straight", tiny_model(), at_random);
  straight.train(RandomBatches(2), options);
  EXPECT_NE(parameters_of(*straight.model), parameters_of(*nearest.model));
  EXPECT_LT(largest_difference(parameters_of(*straight.model), parameters_of(*nearest.model)), 0.05);
  {
    Run first(folder_ / "resumed", tiny_model(), at_random);
    RandomBatches batches(2);
    batches.before_batch = [](int64_t n) {
      if (n == 5) throw std::runtime_error("power cut");
    };
    EXPECT_THROW(first.train(batches, half), std::runtime_error);
  }
  Run second(folder_ / "resumed", tiny_model(), at_random);
  second.train(RandomBatches(2), options);
  EXPECT_EQ(parameters_of(*second.model), parameters_of(*straight.model));
}

TEST_F(RunTest, ARunThatDiesResumesFromItsLastSave) {
  const RandomBatches eval(2, false, 2);
  const TrainerOptions options{.steps = 12, .log_every = 1, .eval_every = 5};
  Run straight(folder_ / "straight", tiny_model());
  straight.train(RandomBatches(2), options, &eval);
  for (const int64_t dies_in : {3, 7, 11}) {
    const fs::path folder = folder_ / fmt::format("died-{}", dies_in);
    {
      Run first(folder, tiny_model());
      RandomBatches batches(2);
      batches.before_batch = [&](int64_t n) {
        if (n == dies_in) throw std::runtime_error("power cut");
      };
      EXPECT_THROW(first.train(batches, options, &eval), std::runtime_error);
    }
    // What a kill in the middle of a line leaves.
    if (fs::exists(folder / "metrics.jsonl"))
      write_file(folder / "metrics.jsonl", read_file(folder / "metrics.jsonl") + "{\"step\": 4, \"tra");
    Run second(folder, tiny_model());
    second.directory.metrics_until(second.directory.has_state() ? 100 : 0);
    second.train(RandomBatches(2), options, &eval);
    EXPECT_EQ(parameters_of(*second.model), parameters_of(*straight.model)) << dies_in;
    EXPECT_EQ(metrics(folder), metrics(folder_ / "straight")) << dies_in;
  }
}

TEST_F(RunTest, NothingIsLeftOfASaveThatWasKilled) {
  fs::create_directories(folder_ / "state");
  write_file(folder_ / "state/state.safetensors.77.partial", "half");
  write_file(folder_ / "config.json.77.partial", "half");
  write_file(folder_ / "notes.partial.txt", "mine");
  const RunDirectory directory(folder_);
  EXPECT_FALSE(fs::exists(folder_ / "state/state.safetensors.77.partial"));
  EXPECT_FALSE(fs::exists(folder_ / "config.json.77.partial"));
  EXPECT_TRUE(fs::exists(folder_ / "notes.partial.txt"));
}

TEST_F(RunTest, ALossThatIsNotFiniteStopsAndKeepsTheLastGoodState) {
  Run run(folder_, tiny_model());
  RandomBatches batches(2);
  std::vector<float> good;
  batches.before_batch = [&](int64_t n) {
    if (n == 5) good = parameters_of(*run.model);
    if (n != 7) return;
    run.model->visit([](const std::string&, Tensor& value, Role) {
      std::vector<float> broken = value.to_vector<float>();
      broken[0] = NAN;
      value.assign(Tensor::from(value.shape(), broken));
    });
  };
  try {
    run.train(batches, {.steps = 20, .eval_every = 0, .save_every = 5});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), "step 8");
    EXPECT_NE(std::string(error.what()).find("training has diverged"), std::string::npos) << error.what();
    EXPECT_NE(error.hint().find("--lr"), std::string::npos);
  }
  Run again(folder_, tiny_model());
  EXPECT_EQ(again.directory.load_state(*again.model, again.optimizer).step, 5);
  EXPECT_EQ(parameters_of(*again.model), good);
}

TEST_F(RunTest, TheDirectoryOfAnotherModelIsRefused) {
  {
    Run run(folder_, tiny_model());
    run.train(RandomBatches(2), {.steps = 2});
  }
  const auto expect_refused = [&](std::unique_ptr<Model> model, Kind kind, const char* says) {
    model->initialise(RandomKey{6});
    Run other(folder_, std::move(model), kind);
    const std::vector<float> before = parameters_of(*other.model);
    try {
      other.directory.load_state(*other.model, other.optimizer);
      FAIL();
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
      EXPECT_EQ(error.exit_code(), 2);
    }
    EXPECT_EQ(parameters_of(*other.model), before);
  };
  expect_refused(tiny_model("llama"), Kind::adamw, "another model");
  Json wider = tiny_config().json();
  wider["n_embd"] = 32;
  expect_refused(std::make_unique<Model>(spec_of(Config(wider, "test"))), Kind::adamw, "another model");
  Json deeper = tiny_config().json();
  deeper["n_layer"] = 3;
  expect_refused(std::make_unique<Model>(spec_of(Config(deeper, "test"))), Kind::adamw, "another model");
  Json shallower = tiny_config().json();
  shallower["n_layer"] = 1;
  expect_refused(std::make_unique<Model>(spec_of(Config(shallower, "test"))), Kind::adamw, "another model");
}

TEST_F(RunTest, TheDirectoryOfAnotherOptimizerIsRefused) {
  {
    Run run(folder_, tiny_model(), Kind::lion);
    run.train(RandomBatches(2), {.steps = 2});
  }
  Run other(folder_, tiny_model(), Kind::adamw);
  const std::vector<float> before = parameters_of(*other.model);
  EXPECT_THROW(other.directory.load_state(*other.model, other.optimizer), Error);
  EXPECT_EQ(parameters_of(*other.model), before);
}

TEST_F(RunTest, ADamagedStateIsAnError) {
  {
    Run run(folder_, tiny_model());
    run.train(RandomBatches(2), {.steps = 2});
  }
  const std::string whole = read_file(folder_ / "state/state.safetensors");
  for (const size_t size : {size_t{0}, size_t{7}, whole.size() / 2, whole.size() - 1}) {
    write_file(folder_ / "state/state.safetensors", whole.substr(0, size));
    Run again(folder_, tiny_model());
    EXPECT_THROW(again.directory.load_state(*again.model, again.optimizer), Error) << size;
  }
  write_safetensors(folder_ / "state/state.safetensors", {{"a", Tensor::zeros({2})}});
  Run again(folder_, tiny_model());
  EXPECT_THROW(again.directory.load_state(*again.model, again.optimizer), Error);
}

// Noise cannot be learnt: the validation loss rises while the model memorises its batch.
class Memorising : public RandomBatches {
 public:
  Memorising() : RandomBatches(2) {}
  Batch batch(int64_t) const override { return RandomBatches::batch(0); }
};
class Other : public RandomBatches {
 public:
  Other() : RandomBatches(4, false, 1) {}
  Batch batch(int64_t) const override { return RandomBatches::batch(9); }
};

TEST_F(RunTest, StopsEarlyAndKeepsTheBest) {
  const Other eval;
  const TrainerOptions options{.steps = 400, .eval_every = 5, .patience = 3};
  Run run(folder_, tiny_model());
  const TrainResult result = run.train(Memorising(), options, &eval);
  EXPECT_TRUE(result.stopped_early);
  EXPECT_FALSE(result.interrupted);
  EXPECT_LT(result.state.step, 400);
  EXPECT_EQ(result.state.step, result.state.best_step + 15);
  EXPECT_GT(result.last_eval_loss, result.state.best_loss);
  // The directory's model is the best one, not the last.
  const double loss = load_model(folder_).model->loss(inputs_of(eval.batch(0)), {}).item();
  EXPECT_NEAR(loss, result.state.best_loss, 1e-6);
  // Resumed, it has nothing left to do.
  Run again(folder_, tiny_model());
  const TrainResult more = again.train(Memorising(), options, &eval);
  EXPECT_EQ(more.state.step, result.state.step);
  EXPECT_TRUE(more.stopped_early);
  // With more patience it goes on.
  Run patient(folder_, tiny_model());
  TrainerOptions longer = options;
  longer.patience = 5;
  EXPECT_EQ(patient.train(Memorising(), longer, &eval).state.step, result.state.step + 10);
}

TEST_F(RunTest, KeepingTheLastMeansTheLast) {
  const Other eval;
  Run run(folder_, tiny_model());
  run.train(Memorising(), {.steps = 60, .eval_every = 5, .keep_best = false}, &eval);
  LoadedModel last = load_model(folder_);
  EXPECT_EQ(parameters_of(*last.model), parameters_of(*run.model));
}

TEST_F(RunTest, AnInterruptedRunHasAModel) {
  const Other eval;
  for (const bool keep_best : {true, false})
    for (const int64_t save_every : {0, 1}) {
      const fs::path folder = folder_ / fmt::format("{}-{}", keep_best, save_every);
      Run run(folder, tiny_model());
      RandomBatches batches(2);
      batches.before_batch = [&](int64_t n) { run.stop = run.stop || n == 7; };
      const TrainerOptions options{.steps = 20, .eval_every = 6, .save_every = save_every, .keep_best = keep_best};
      EXPECT_TRUE(run.train(batches, options, &eval).interrupted);
      LoadedModel loaded = load_model(folder);
      EXPECT_EQ(parameters_of(*loaded.model) == parameters_of(*run.model), !keep_best);
      const fs::path early = folder_ / fmt::format("early-{}-{}", keep_best, save_every);
      Run soon(early, tiny_model());
      batches.before_batch = [&](int64_t) { soon.stop = true; };
      EXPECT_TRUE(soon.train(batches, options, &eval).interrupted);
      EXPECT_EQ(parameters_of(*load_model(early).model), parameters_of(*soon.model));
    }
}

TEST_F(RunTest, EvaluationWeighsTargetsNotBatches) {
  const RandomBatches eval(3, true, 5);
  Run run(folder_, tiny_model());
  const TrainerOptions options;
  Trainer trainer(*run.model, run.optimizer, {}, eval, &eval, run.directory, options, [] {});
  double sum = 0;
  int64_t targets = 0;
  const NoGrad no_grad;
  for (int64_t n = 0; n < 5; ++n) {
    const Batch batch = eval.batch(n);
    sum += run.model->loss(inputs_of(batch), {}).item() * static_cast<double>(batch.target_count);
    targets += batch.target_count;
  }
  EXPECT_NEAR(trainer.evaluate(), sum / static_cast<double>(targets), 1e-9);
}

TEST_F(RunTest, WritesMetricsAndAReport) {
  const RandomBatches eval(2, false, 1);
  Run run(folder_, tiny_model());
  run.train(RandomBatches(2), {.steps = 10, .log_every = 2, .eval_every = 5}, &eval);
  const std::vector<Json> lines = metrics(folder_);
  ASSERT_EQ(lines.size(), 7U);
  EXPECT_EQ(lines[0]["step"], 2);
  EXPECT_TRUE(lines[0].contains("train_loss"));
  EXPECT_EQ(lines[2]["step"], 5);
  EXPECT_TRUE(lines[2].contains("val_loss"));
  EXPECT_NE(read_file(folder_ / "report.html").find("<svg"), std::string::npos);
}

TEST_F(RunTest, ADirectoryThatCannotBeWrittenSaysSoAtOnce) {
  EXPECT_THROW(RunDirectory("/proc/qkv-run"), Error);
  fs::create_directories(folder_);
  write_file(folder_ / "file", "x");
  EXPECT_THROW(RunDirectory(folder_ / "file"), Error);
}

}  // namespace
}  // namespace qkv
