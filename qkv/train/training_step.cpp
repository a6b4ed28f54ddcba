#include "qkv/train/training_step.h"

#include "qkv/core/error.h"
#include "qkv/core/notice.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/cross_entropy.h"

#include <algorithm>

namespace qkv {
namespace {

// Where steps cannot be recorded, nothing but their speed tells.
void say_not_recorded(const std::string& why) {
  notice("training", "steps are asked for kernel by kernel, since they cannot be recorded: " + why);
}

// What in such a step depends on what the texts say; empty: nothing that is known.
std::string what_depends_on_texts(const Spec& spec) {
  if (spec.task != Task::causal_lm || spec.encoder || spec.embeddings.skip_padding)
    return "the model is no decoder that is trained on every token";
  for (int64_t i = 0; i < spec.stack.distinct(); ++i) {
    const auto& rotary = spec.stack.layer(i).attention.rotary;
    if (rotary && rotary->scaling == RotarySpec::Scaling::dynamic) return "rotary positions depend on a text's length";
  }
  return "";
}

bool can_be_recorded(const Model& model, DType compute) {
  if (model.device().type != Device::Type::cuda || compute == DType::f16) return false;
  const std::string why_not = what_depends_on_texts(model.spec());
  if (!why_not.empty()) say_not_recorded(why_not);
  return why_not.empty();
}

template <typename Rule>
bool all_of(const Tensor& ids, const Rule& rule) {
  return std::all_of(ids.data<int32_t>(), ids.data<int32_t>() + ids.numel(), rule);
}

void overwrite(const Tensor& kept, const Tensor& with) {
  std::copy_n(with.data<int32_t>(), with.numel(), kept.data<int32_t>());
  kept.renew();
}

Tensor positions_of(const Shape& shape) {
  Tensor positions = Tensor::empty(shape, DType::i32);
  for (int64_t i = 0; i < positions.numel(); ++i) positions.data<int32_t>()[i] = static_cast<int32_t>(i % shape[1]);
  return positions;
}

}  // namespace

TrainingStep::TrainingStep(Model& model, Optimizer& optimizer, const TrainingStepOptions& options)
    : model_(model),
      optimizer_(optimizer),
      options_(options),
      word_(Tensor::zeros({1}, DType::i32)),
      possible_(can_be_recorded(model, options.compute)) {}

// None where ids would be refused too: the step without a replay says what is wrong.
std::optional<TrainingStep::Form> TrainingStep::form_of(std::span<const Inputs> micro_batches,
                                                        LossCounts counts) const {
  if (!possible_ || micro_batches.empty() || counts.tokens <= 0) return std::nullopt;
  const Shape shape = micro_batches[0].input_ids.shape();
  const int64_t limit = model_.spec().max_positions();
  if (shape.rank() != 2 || (limit > 0 && shape[1] > limit)) return std::nullopt;
  const auto is_token = [vocab = model_.spec().vocab](int32_t id) { return id >= 0 && id < vocab; };
  const auto is_label = [&](int32_t id) { return id == ignored_target || is_token(id); };
  for (const Inputs& inputs : micro_batches) {
    if (!inputs.only_ids_and_labels() || inputs.input_ids.shape() != shape || inputs.labels.shape() != shape ||
        !all_of(inputs.input_ids, is_token) || !all_of(inputs.labels, is_label))
      return std::nullopt;
    // The host picks the rows where only a few have a label (Model::language_model_loss).
    if (2 * count_targets(inputs.labels) < inputs.labels.numel()) return std::nullopt;
  }
  return Form{shape, micro_batches.size(), counts.tokens};
}

std::vector<Tensor> TrainingStep::gradients(std::span<const Inputs> micro_batches, LossCounts counts,
                                            const StepKey& key) {
  std::vector<Tensor> losses;
  for (size_t i = 0; i < micro_batches.size(); ++i) {
    const Context context{.compute = options_.compute,
                          .training = true,
                          .checkpoint = options_.checkpoint_activations,
                          .label_smoothing = options_.label_smoothing,
                          .key = key.child(i)};
    const Tensor loss = model_.loss(micro_batches[i], context, counts);
    backward(loss);
    losses.push_back(loss.detach());
  }
  return losses;
}

bool TrainingStep::forget_recording() {
  const bool had = recorded_.has_value();
  possible_ = false;
  recorded_.reset();
  if (replayed_) losses_.clear();
  recorded_losses_.clear();
  inputs_.clear();
  replay_.clear();
  return had;
}

void TrainingStep::record(const Form& form, LossCounts counts) {
  recorded_.reset();
  losses_.clear();
  recorded_losses_.clear();
  inputs_.clear();
  optimizer_.clear_gradients();  // of a step that failed
  const Device device = model_.device();
  word_.on(device);
  for (size_t i = 0; i < form.micro_batches; ++i) {
    inputs_.push_back({.input_ids = Tensor::zeros(form.shape, DType::i32),
                       .position_ids = positions_of(form.shape),
                       .labels = Tensor::zeros(form.shape, DType::i32)});
    for (const Tensor& each : {inputs_[i].input_ids, inputs_[i].position_ids, inputs_[i].labels}) each.on(device);
  }
  const StepKey key{RandomKey{options_.seed}, 0, word_};
  try {
    possible_ = replay_.record(device, [&] {
      recorded_losses_ = gradients(inputs_, counts, key);
      optimizer_.apply(options_.clip);
    });
  } catch (const Error& error) {
    say_not_recorded(error.what());
    possible_ = false;  // the step without a replay says it again, unless a recording alone needs too much memory
  }
  if (possible_) {
    recorded_ = form;
  } else {
    optimizer_.clear_gradients();
  }
}

void TrainingStep::give(int64_t index, float lr, std::span<const Inputs> micro_batches, LossCounts counts) {
  const std::optional<Form> form = form_of(micro_batches, counts);
  if (possible_ && places_ != optimizer_.places()) {
    recorded_.reset();
    last_.reset();
  }
  // The first of its form makes what is made once.
  if (form && form != recorded_ && form == last_) record(*form, counts);
  last_ = form;
  const uint32_t word = step_word(options_.seed, static_cast<uint64_t>(index));
  replayed_ = form && form == recorded_;
  if (!replayed_) {
    const StepKey key{RandomKey{options_.seed}, word};
    try {
      losses_ = gradients(micro_batches, counts, key);
    } catch (const Error&) {
      if (!forget_recording()) throw;
      // Two steps' memory may be too much where one's is not.
      optimizer_.clear_gradients();
      losses_ = gradients(micro_batches, counts, key);
    }
    optimizer_.step(lr, options_.clip);
    if (possible_) places_ = optimizer_.places();
    return;
  }
  optimizer_.begin(lr);
  for (size_t i = 0; i < micro_batches.size(); ++i) {
    overwrite(inputs_[i].input_ids, micro_batches[i].input_ids);
    overwrite(inputs_[i].labels, micro_batches[i].labels);
  }
  *word_.data<uint32_t>() = word;
  word_.renew();
  replay_.play();
  losses_ = recorded_losses_;
}

double TrainingStep::loss() const {
  double total = 0;
  for (const Tensor& loss : losses_) total += loss.item<double>();
  return total;
}

}  // namespace qkv
