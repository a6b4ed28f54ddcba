// What the tests of this room share: a model that trains in milliseconds, batches without files, and what may be
// compared.
#pragma once

#include "qkv/core/error.h"
#include "qkv/models/family.h"
#include "qkv/ops/autograd.h"
#include "qkv/tensor/device.h"
#include "qkv/train/trainer.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>

namespace qkv {

inline Config tiny_config(const char* family = "gpt2", float dropout = 0, int padding = -1) {
  const Sizes sizes{.vocab = 13, .context = 8, .layers = 2, .heads = 2, .width = 16, .dropout = dropout};
  Json config = family_named(family, "test").config(sizes);
  if (padding >= 0) config["pad_token_id"] = padding;
  return {config, "test"};
}

inline std::unique_ptr<Model> tiny_model(const char* family = "gpt2", float dropout = 0, int padding = -1) {
  auto model = std::make_unique<Model>(spec_of(tiny_config(family, dropout, padding)));
  model->initialise(RandomKey{5});
  model->to(default_device());
  model->require_grad();
  return model;
}

// Random tokens, a function of the batch's number. `ignored`: the share of targets that do not count, differing from
// batch to batch.
class RandomBatches : public Batches {
 public:
  explicit RandomBatches(int64_t rows, bool ignored = false, int64_t count = 4)
      : rows_(rows), ignored_(ignored), count_(count) {}
  Batch batch(int64_t n) const override {
    if (before_batch) before_batch(n);
    Batch batch{.rows = rows_, .length = 8};
    for (int64_t r = 0; r < rows_; ++r) {
      Random random(RandomKey{77}.child(static_cast<uint64_t>(n * rows_ + r)));
      const double share = ignored_ ? random.uniform() * 0.8 : 0;
      for (int64_t t = 0; t < batch.length; ++t) {
        batch.input_ids.push_back(static_cast<int32_t>(random.below(13)));
        const bool counts = random.uniform() >= share;
        batch.labels.push_back(counts ? static_cast<int32_t>(random.below(13)) : ignored_label);
        batch.target_count += counts ? 1 : 0;
      }
    }
    return batch;
  }
  int64_t count() const override { return count_; }

  std::function<void(int64_t n)> before_batch;

 private:
  int64_t rows_;
  bool ignored_;
  int64_t count_;
};

inline std::vector<float> parameters_of(Model& model) {
  std::vector<float> all;
  model.visit([&](const std::string&, Tensor& value, Role) {
    const std::vector<float> one = value.to_vector<float>();
    all.insert(all.end(), one.begin(), one.end());
  });
  return all;
}

inline std::vector<float> gradients_of(Model& model) {
  std::vector<float> all;
  model.visit([&](const std::string& name, Tensor& value, Role) {
    const Tensor g = gradient(value);
    EXPECT_TRUE(g) << name;
    const std::vector<float> one = g ? g.to_vector<float>() : std::vector<float>();
    all.insert(all.end(), one.begin(), one.end());
  });
  return all;
}

inline double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - b[i]);
    largest = std::isnan(difference) ? INFINITY : std::max(largest, difference);
  }
  return largest;
}

// A folder for a run, gone afterwards.
class RunTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("qkv-train-{}", ::getpid());
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // A run from its beginning, or from what its directory holds.
  struct Run {
    explicit Run(const fs::path& folder, std::unique_ptr<Model> with, OptimizerOptions::Kind kind = {})
        : Run(folder, std::move(with), OptimizerOptions{.kind = kind}) {}
    Run(const fs::path& folder, std::unique_ptr<Model> with, const OptimizerOptions& options)
        : directory(folder), model(std::move(with)), optimizer(*model, options) {}

    TrainResult train(const Batches& batches, const TrainerOptions& options, const Batches* eval = nullptr) {
      RunState state;
      if (directory.has_state()) {
        state = directory.load_state(*model, optimizer);
        directory.metrics_until(state.step);
      }
      Trainer trainer(*model, optimizer, {.peak = 1e-2, .lowest = 1e-3, .warmup = 2, .steps = options.steps}, batches,
                      eval, directory, options, [&] {
                        ++saves;
                        save_model(directory.path(), tiny_config(), *model);
                      });
      return trainer.run(state, stop);
    }

    RunDirectory directory;
    std::unique_ptr<Model> model;
    Optimizer optimizer;
    std::atomic<bool> stop{false};
    int saves = 0;
  };

  // Metrics without what the clock says.
  static std::vector<Json> metrics(const fs::path& folder) {
    std::vector<Json> lines = RunDirectory(folder).metrics_until(1'000'000);
    for (Json& line : lines)
      for (const char* key : {"tokens_per_second", "mfu"}) line.erase(key);
    return lines;
  }

  fs::path folder_;
};

}  // namespace qkv
