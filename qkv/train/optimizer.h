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
};
OptimizerOptions::Kind optimizer_named(std::string_view name);  // throws Error

class Optimizer {
 public:
  // Takes every parameter of the model. Where bf16 copies of parameters exist, steps keep them up to date.
  Optimizer(Model& model, const OptimizerOptions& options);

  // The norm of all gradients together; NaN or infinity where one holds such.
  double gradient_norm() const;
  // One step with gradients times `gradient_scale`; then they are cleared. Parameters without a gradient stay.
  void step(float lr, float gradient_scale);
  void clear_gradients();
  int64_t steps() const { return steps_; }

  // What resuming needs: "optimizer.NAME.first" ... and the count of steps.
  std::vector<NamedTensor> state() const;
  // Throws Error when the file belongs to another model or optimizer; then nothing has changed.
  void load_state(const Safetensors& file);

 private:
  struct Slot {
    std::string name;
    Tensor parameter;
    Tensor first;
    Tensor second;
    bool decays;
    bool muon;
  };
  std::vector<kernels::OptimizerTensor> gather(bool decays) const;
  void muon_step(Slot& slot, float lr, float gradient_scale);

  OptimizerOptions options_;
  Device device_;
  std::vector<Slot> slots_;
  int64_t steps_ = 0;
};

}  // namespace qkv
