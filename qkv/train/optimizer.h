// Optimizers over a model's parameters, each parameter group stepped in one fused kernel call.
#pragma once

#include "qkv/io/safetensors.h"
#include "qkv/kernels/kernels.h"
#include "qkv/models/model.h"

#include <string>
#include <string_view>
#include <vector>

namespace qkv {

struct OptimizerOptions {
  enum class Kind : uint8_t {
    adamw,
    sgd,
    lion,
    muon,  // matrices by orthogonalised momentum (Jordan et al. 2024), all else by AdamW
  };
  Kind kind = Kind::adamw;
  float beta1 = 0.9F;
  float beta2 = 0.95F;
  float eps = 1e-8F;
  float weight_decay = 0.1F;  // of matrices and embeddings; norms and biases are spared
  float momentum = 0.9F;      // sgd and muon
  // The bf16 copies of parameters, which products take, are rounded up or down at random, so that on average they are
  // the parameters: what is too small a step for bf16 is not lost on the way. Not with muon.
  bool stochastic_rounding = false;
};
OptimizerOptions::Kind optimizer_named(std::string_view name);  // throws Error

class Optimizer {
 public:
  // Takes every parameter of the model. Where bf16 copies of parameters exist, steps keep them up to date. Throws Error
  // for options that do not go together.
  Optimizer(Model& model, const OptimizerOptions& options);

  // One step, which nobody waits for: gradients, their norm cut to `clip` (0: never), move the parameters and are
  // cleared. Parameters without a gradient stay, and all do where the norm is not finite.
  void step(float lr, float clip);
  // The same in two: begin() counts the step and sets its numbers, which apply() reads. What a step that is recorded
  // (tensor/replay.h) has in apply() its replays do with the numbers of their own begin().
  void begin(float lr);
  void apply(float clip);
  // f32 []: the norm of all gradients together in the last step; NaN or infinity where one held such.
  const Tensor& norm() const { return norm_; }
  // Where parameters and their copies lie, which a recorded step knows.
  std::vector<const void*> places() const;

  void clear_gradients();
  int64_t steps() const { return steps_; }

  // What resuming needs: "optimizer.NAME.first" ... and the count of steps.
  std::vector<NamedTensor> state() const;
  // Throws Error when the file belongs to another model or optimizer; then nothing has changed.
  void load_state(const Safetensors& file);
  // After that, when the parameters have been set too: copies that are rounded at random are what the last step, in
  // which all parameters had gradients, made of them.
  void restore_copies();

 private:
  struct Slot {
    std::string name;
    Tensor parameter;
    Tensor first;
    Tensor second;
    bool decays;
    bool muon;
    uint32_t rounding;  // 0: to the nearest
  };
  void measure_gradients();
  std::vector<kernels::OptimizerTensor> gather(bool decays) const;
  void muon_step(Slot& slot, float lr, float gradient_scale);

  OptimizerOptions options_;
  Device device_;
  std::vector<Slot> slots_;
  Tensor numbers_;  // kernels::StepNumbers, on the host
  Tensor norm_;     // f32 [], on the device
  int64_t steps_ = 0;
};

}  // namespace qkv
