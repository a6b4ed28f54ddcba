#include "qkv/train/optimizer.h"

#include "qkv/core/error.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/check.h"
#include "qkv/ops/step_key.h"
#include "qkv/train/orthogonalise.h"

#include <algorithm>
#include <cmath>

namespace qkv {
namespace {

constexpr const char* steps_name = "optimizer.steps";
constexpr int64_t numbers_count = sizeof(kernels::StepNumbers) / sizeof(float);
constexpr uint64_t rounding_seed = 0x50F7;

uint32_t rounding_word(int64_t step) { return step_word(rounding_seed, static_cast<uint64_t>(step)); }

}  // namespace

OptimizerOptions::Kind optimizer_named(std::string_view name) {
  if (name == "adamw") return OptimizerOptions::Kind::adamw;
  if (name == "sgd") return OptimizerOptions::Kind::sgd;
  if (name == "lion") return OptimizerOptions::Kind::lion;
  if (name == "muon") return OptimizerOptions::Kind::muon;
  throw Error("optimizer", fmt::format("there is no optimizer '{}'", name), "adamw, sgd, lion or muon");
}

Optimizer::Optimizer(Model& model, const OptimizerOptions& options)
    : options_(options), numbers_(Tensor::zeros({numbers_count})) {
  using Kind = OptimizerOptions::Kind;
  if (options.stochastic_rounding && options.kind == Kind::muon)
    throw Error("optimizer", "muon does not round at random", "adamw, lion or sgd");
  model.visit([&](const std::string& name, Tensor& value, Role role) {
    if (role == Role::fixed) return;
    const bool matrix = role == Role::matrix || role == Role::residual_matrix;
    const uint32_t rounding =
        options.stochastic_rounding ? 1 | dropout_key(RandomKey{rounding_seed}.child(slots_.size())) : 0;
    Slot slot{name, value, {}, {}, matrix || role == Role::embedding, options.kind == Kind::muon && matrix, rounding};
    const auto moment = [&] { return Tensor::zeros(value.shape(), DType::f32, value.device()); };
    if (options.kind != Kind::sgd || options.momentum > 0) slot.first = moment();
    if (options.kind == Kind::adamw || (options.kind == Kind::muon && !matrix)) slot.second = moment();
    device_ = value.device();
    slots_.push_back(std::move(slot));
  });
  norm_ = Tensor::zeros({}, DType::f32, device_);
}

void Optimizer::measure_gradients() {
  std::vector<kernels::L2NormPart> gradients;
  for (const Slot& slot : slots_)
    if (const Tensor g = gradient(slot.parameter)) {
      check(g.device() == device_, "optimizer", "the gradient of {} lies on another device", slot.name);
      gradients.push_back({.count = g.numel(), .type = g.dtype(), .x = g.raw()});
    }
  kernels::kernels_for(device_).l2_norm(gradients, norm_.data<float>());
}

std::vector<kernels::OptimizerTensor> Optimizer::gather(bool decays) const {
  std::vector<kernels::OptimizerTensor> tensors;
  for (const Slot& slot : slots_) {
    const Tensor g = gradient(slot.parameter);
    if (!g || slot.decays != decays || slot.muon) continue;
    check(g.device() == device_, "optimizer", "the gradient of {} lies on another device", slot.name);
    Tensor half = kept_half(slot.parameter);
    if (half && half.dtype() != DType::bf16) {  // is made anew from the parameter
      forget_half(slot.parameter);
      half = {};
    }
    tensors.push_back({.count = slot.parameter.numel(),
                       .parameter = slot.parameter.data<float>(),
                       .gradient = g.data<float>(),
                       .first = slot.first ? slot.first.data<float>() : nullptr,
                       .second = slot.second ? slot.second.data<float>() : nullptr,
                       .half = half ? half.data<bf16>() : nullptr,
                       .rounding = slot.decays ? slot.rounding : 0});  // restore_copies() knows no others
  }
  return tensors;
}

void Optimizer::step(float lr, float clip) {
  begin(lr);
  apply(clip);
}

void Optimizer::begin(float lr) {
  ++steps_;
  const auto correction = [&](float beta) {
    return static_cast<float>(1 - std::pow(static_cast<double>(beta), static_cast<double>(steps_)));
  };
  *static_cast<kernels::StepNumbers*>(numbers_.raw()) = {.lr = lr,
                                                         .correction1 = correction(options_.beta1),
                                                         .correction2 = correction(options_.beta2),
                                                         .word = rounding_word(steps_)};
  numbers_.on(device_);
  numbers_.renew();
}

void Optimizer::apply(float clip) {
  using Kind = OptimizerOptions::Kind;
  const kernels::KernelSet& kernel = kernels::kernels_for(device_);
  measure_gradients();
  const auto* now = static_cast<const kernels::StepNumbers*>(numbers_.on(device_).raw());
  const kernels::Clipping clipping{.norm = norm_.data<float>(), .most = clip};
  for (const bool decays : {true, false}) {
    const std::vector<kernels::OptimizerTensor> tensors = gather(decays);
    const float decay = decays ? options_.weight_decay : 0;
    switch (options_.kind) {
      case Kind::adamw:
      case Kind::muon:
        kernel.adamw(tensors, {.now = now,
                               .clipping = clipping,
                               .beta1 = options_.beta1,
                               .beta2 = options_.beta2,
                               .eps = options_.eps,
                               .weight_decay = decay});
        break;
      case Kind::lion:
        kernel.lion(tensors, {.now = now,
                              .clipping = clipping,
                              .beta1 = options_.beta1,
                              .beta2 = options_.beta2,
                              .weight_decay = decay});
        break;
      case Kind::sgd:
        kernel.sgd(
            tensors,
            {.now = now, .clipping = clipping, .momentum = options_.momentum, .weight_decay = decay, .nesterov = true});
        break;
    }
  }
  if (options_.kind == Kind::muon) {
    // Its numbers are the host's, which waits for the norm: such a step is not recorded.
    const float norm = norm_.item();
    const kernels::Clipping known{.norm = &norm, .most = clip};
    for (Slot& slot : slots_)
      if (slot.muon && gradient(slot.parameter) && !known.skips())
        muon_step(slot, numbers_.data<float>()[0], known.factor());
  }
  clear_gradients();
}

void Optimizer::muon_step(Slot& slot, float lr, float gradient_scale) {
  const NoGrad no_grad;
  const kernels::KernelSet& kernel = kernels::kernels_for(device_);
  const Tensor g = gradient(slot.parameter);
  const int64_t count = g.numel();
  // m = momentum m + g; the direction looks ahead as Nesterov does: g + momentum m.
  kernel.binary({.count = count,
                 .b_count = count,
                 .a = slot.first.raw(),
                 .b = g.raw(),
                 .y = slot.first.raw(),
                 .alpha = options_.momentum,
                 .beta = gradient_scale});
  Tensor direction = Tensor::empty(g.shape(), DType::f32, g.device());
  kernel.binary({.count = count,
                 .b_count = count,
                 .a = g.raw(),
                 .b = slot.first.raw(),
                 .y = direction.raw(),
                 .alpha = gradient_scale,
                 .beta = options_.momentum});
  direction = orthogonalise(direction);
  // Scaled so that an entry moves about as far as under AdamW, and the learning rate serves both (Liu et al. 2025).
  const float rate = lr * 0.2F * std::sqrt(static_cast<float>(std::max(g.size(0), g.size(1))));
  kernel.binary({.count = count,
                 .b_count = count,
                 .a = slot.parameter.raw(),
                 .b = direction.raw(),
                 .y = slot.parameter.raw(),
                 .alpha = 1 - lr * options_.weight_decay,
                 .beta = -rate});
  forget_half(slot.parameter);
}

std::vector<const void*> Optimizer::places() const {
  std::vector<const void*> places;
  for (const Slot& slot : slots_) {
    const Tensor copy = kept_half(slot.parameter);
    places.push_back(slot.parameter.raw());
    places.push_back(copy ? copy.raw() : nullptr);
  }
  return places;
}

void Optimizer::restore_copies() {
  if (!options_.stochastic_rounding || steps_ == 0) return;
  for (const Slot& slot : slots_) {
    if (!slot.decays) continue;  // norms and biases are used as they are
    const std::vector<float> values = slot.parameter.to_vector<float>();
    const Tensor rounded = Tensor::empty(slot.parameter.shape(), DType::bf16);
    for (size_t i = 0; i < values.size(); ++i)
      rounded.data<bf16>()[i].bits =
          bf16_at_random(values[i], dropout_hash(slot.rounding ^ rounding_word(steps_), static_cast<uint32_t>(i)));
    half_of(slot.parameter, DType::bf16).assign(rounded);
  }
}

void Optimizer::clear_gradients() {
  for (const Slot& slot : slots_) clear_gradient(slot.parameter);
}

std::vector<NamedTensor> Optimizer::state() const {
  std::vector<NamedTensor> tensors = {{steps_name, Tensor::from<int64_t>({1}, {steps_})}};
  for (const Slot& slot : slots_) {
    if (slot.first) tensors.push_back({"optimizer." + slot.name + ".first", slot.first});
    if (slot.second) tensors.push_back({"optimizer." + slot.name + ".second", slot.second});
  }
  return tensors;
}

void Optimizer::load_state(const Safetensors& file) {
  const std::vector<NamedTensor> wanted = state();
  const std::vector<std::string> names = file.names();
  const auto ours = [](const std::string& name) { return name.starts_with("optimizer."); };
  if (std::count_if(names.begin(), names.end(), ours) != std::ssize(wanted))
    throw Error("optimizer", "the saved state is that of another optimizer",
                "resume with the options that the run was started with");
  for (const auto& [name, value] : wanted)
    if (!file.contains(name) || file.shape(name) != value.shape() || file.dtype(name) != value.dtype())
      throw Error(name, "the saved state does not fit this model and optimizer",
                  "resume with the options that the run was started with");
  for (const auto& [name, value] : wanted) value.assign(file.get(name));
  steps_ = file.get(steps_name).item<int64_t>();
}

}  // namespace qkv
