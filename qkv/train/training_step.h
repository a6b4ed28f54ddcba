// One step of training: the gradients of all micro-batches, their norm, the optimizer. On a GPU, steps whose batches
// are of one form are recorded once and replayed (tensor/replay.h): the host then asks for one thing a step, not for
// every kernel.
#pragma once

#include "qkv/models/model.h"
#include "qkv/tensor/replay.h"
#include "qkv/train/optimizer.h"

#include <optional>
#include <span>
#include <vector>

namespace qkv {

struct TrainingStepOptions {
  DType compute = DType::f32;
  bool checkpoint_activations = false;
  float label_smoothing = 0;
  float clip = 1;  // the gradients' norm is cut to this; 0: never
  uint64_t seed = 1337;
};

class TrainingStep {
 public:
  // Model and optimizer outlive this. Copies of f16 are made anew in every step, which is not recorded then.
  TrainingStep(Model& model, Optimizer& optimizer, const TrainingStepOptions& options);

  // Gives step `index` to the device, which is not waited for. `counts`: of all micro-batches, whose losses add up.
  // The inputs lie on the host, and are not changed afterwards.
  void give(int64_t index, float lr, std::span<const Inputs> micro_batches, LossCounts counts);

  // Of the step that was given last, which they wait for. Where the norm is not finite, no parameter has moved.
  double loss() const;
  double norm() const { return optimizer_.norm().item<double>(); }  // before it was cut

  bool replayed() const { return replayed_; }  // the last one

  // Gives back the memory that a recording holds, of a whole step; none is made any more. Whether there was one.
  bool forget_recording();

 private:
  // What makes two steps the same work.
  struct Form {
    Shape shape;  // of ids and labels
    size_t micro_batches;
    int64_t tokens;  // that the loss is a mean over
    bool operator==(const Form&) const = default;
  };
  std::optional<Form> form_of(std::span<const Inputs> micro_batches, LossCounts counts) const;
  void record(const Form& form, LossCounts counts);
  // Gives forward and backward passes to the device; returns the losses.
  std::vector<Tensor> gradients(std::span<const Inputs> micro_batches, LossCounts counts, const StepKey& key);

  Model& model_;
  Optimizer& optimizer_;
  TrainingStepOptions options_;
  std::vector<Tensor> losses_;
  bool replayed_ = false;

  Replay replay_;
  std::optional<Form> last_, recorded_;
  std::vector<const void*> places_;      // Optimizer::places() behind the last step
  std::vector<Inputs> inputs_;           // that the recording reads
  std::vector<Tensor> recorded_losses_;  // that it writes
  Tensor word_;                          // i32 [1], likewise: StepKey's
  bool possible_;
};

}  // namespace qkv
