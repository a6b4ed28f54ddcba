// The training loop: one for every objective, model and optimizer.
#pragma once

#include "qkv/core/progress.h"
#include "qkv/data/batch.h"
#include "qkv/train/optimizer.h"
#include "qkv/train/run_directory.h"
#include "qkv/train/schedule.h"
#include "qkv/train/training_step.h"

#include <atomic>
#include <functional>
#include <optional>

namespace qkv {

struct TrainerOptions {
  int64_t steps = 1000;
  int64_t accumulate = 1;  // micro-batches a step; the loss is normalised by the tokens of the whole step
  double clip = 1;         // the gradients' norm is cut to this; 0: never
  DType compute = DType::f32;
  bool checkpoint_activations = false;
  float label_smoothing = 0;
  uint64_t seed = 1337;
  int64_t log_every = 10;
  int64_t eval_every = 250;    // 0: only at the end
  int64_t save_every = 0;      // 0: at every evaluation
  int64_t patience = 0;        // stop after so many evaluations without a better one; 0: never
  bool keep_best = true;       // the directory's model is the best by validation loss, else the last
  double flops_per_token = 0;  // for the fraction of the peak reached
  double peak_flops = 0;
};

struct TrainResult {
  RunState state;
  double last_train_loss = 0;
  double last_eval_loss = 0;
  bool interrupted = false;
  bool stopped_early = false;
};

class Trainer {
 public:
  // `save_model` writes the model into the run directory; `eval` may be null.
  Trainer(Model& model, Optimizer& optimizer, const Schedule& schedule, const Batches& train, const Batches* eval,
          const RunDirectory& directory, const TrainerOptions& options, std::function<void()> save_model);

  // Trains from `state.step` to the last step. A set `stop` (Ctrl-C) ends it after the step at hand, saved. Throws
  // Error when the loss is not finite: the last good state stays on disk.
  TrainResult run(RunState state, const std::atomic<bool>& stop);

  // Mean loss over the evaluation batches.
  double evaluate();

 private:
  // What a step reads.
  struct StepInputs {
    int64_t index;
    std::vector<Inputs> micro_batches;
    LossCounts counts;
    int64_t tokens;
  };
  StepInputs inputs_of_step(int64_t index) const;

  struct StepResult {
    double loss;
    double norm;
    int64_t tokens;
  };
  StepResult step(int64_t index);
  void evaluate_and_save(TrainResult& result, Progress& progress);

  Model& model_;
  Optimizer& optimizer_;
  Schedule schedule_;
  const Batches& train_;
  const Batches* eval_;
  const RunDirectory& directory_;
  TrainerOptions options_;
  std::function<void()> save_model_;
  TrainingStep step_;
  std::optional<StepInputs> ahead_;  // of the next step
};

}  // namespace qkv
