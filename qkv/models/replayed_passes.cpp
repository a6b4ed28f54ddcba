#include "qkv/models/replayed_passes.h"

#include "qkv/core/error.h"
#include "qkv/core/notice.h"
#include "qkv/models/pass_kind.h"
#include "qkv/models/positions.h"
#include "qkv/ops/autograd.h"

#include <algorithm>

namespace qkv {
namespace {

constexpr size_t most_forms = 8;       // a recording holds the memory of a pass
constexpr int64_t most_tokens = 4096;  // of a pass: in a longer one the card works for longer than the host asks

bool all_below(const Tensor& ids, int64_t count) {
  const int32_t* values = ids.data<int32_t>();
  return std::all_of(values, values + ids.numel(), [&](int32_t id) { return id >= 0 && id < count; });
}

// Whether these are the only inputs.
bool only_texts(const Inputs& inputs) {
  Inputs others = inputs;
  others.attention_mask = others.token_type_ids = {};
  others.labels = others.input_ids;  // of which nothing is read
  return others.only_ids_and_labels();
}

}  // namespace

bool ReplayedPasses::suits(const Spec& spec) {
  return passes_alike(spec) && spec.embeddings.position_kind != EmbeddingsSpec::Positions::axial &&
         spec.global_tokens == Spec::GlobalTokens::none;
}

bool ReplayedPasses::suits_outputs(const Spec& spec) {
  return suits(spec) && spec.heads.row == HeadsSpec::Row::first && !spec.heads.adaptive;
}

ReplayedPasses::ReplayedPasses(Model& model, DType compute)
    : model_(model), type_(compute), possible_(model.device().type == Device::Type::cuda && suits(model.spec())) {}

Tensor ReplayedPasses::hidden(const Inputs& inputs) { return run(Kind::hidden, inputs)[0].second; }

ReplayedPasses::Outputs ReplayedPasses::outputs(const Inputs& inputs) { return run(Kind::outputs, inputs); }

ReplayedPasses::Outputs ReplayedPasses::compute(Kind kind, const Inputs& inputs) {
  const NoGrad no_grad;
  const Context context{.compute = type_};
  if (kind == Kind::outputs) return model_.outputs(inputs, context);
  return {{"hidden", model_.hidden(inputs, context)}};
}

// None where the input would be refused too: the pass without a replay says what is wrong.
std::optional<ReplayedPasses::Form> ReplayedPasses::form_of(Kind kind, const Inputs& inputs) const {
  const Spec& spec = model_.spec();
  if (!possible_ || (kind == Kind::outputs && !suits_outputs(spec)) || !only_texts(inputs)) return std::nullopt;
  const Shape& shape = inputs.input_ids.shape();
  const Tensor &mask = inputs.attention_mask, &types = inputs.token_type_ids;
  const int64_t tokens = shape.numel();
  if (shape.rank() < 2 || tokens == 0 || tokens > most_tokens || (mask && mask.shape() != shape) ||
      (types && types.shape() != shape) || !all_below(inputs.input_ids, spec.vocab) ||
      (types && spec.embeddings.token_types > 0 && !all_below(types, spec.embeddings.token_types)))
    return std::nullopt;
  return Form{kind, shape, static_cast<bool>(mask)};
}

void ReplayedPasses::write(Known& known, const Inputs& inputs) const {
  const auto copy = [](const Tensor& from, const Tensor& to) {
    std::copy_n(from.data<int32_t>(), from.numel(), to.data<int32_t>());
  };
  const Tensor& types = known.inputs.token_type_ids;
  copy(inputs.input_ids, known.inputs.input_ids);
  copy(usual_positions(model_.spec().embeddings, inputs.input_ids), known.inputs.position_ids);
  if (types && inputs.token_type_ids) {
    copy(inputs.token_type_ids, types);
  } else if (types) {
    std::fill_n(types.data<int32_t>(), types.numel(), 0);
  }
  known.numbers.renew();
  if (!known.form.masked) return;
  const Tensor &mask = inputs.attention_mask, &kept = known.inputs.attention_mask;
  std::copy_n(mask.data<uint8_t>(), mask.numel(), kept.data<uint8_t>());
  kept.renew();
}

bool ReplayedPasses::record(Known& known, const Inputs& inputs) {
  const Device device = model_.device();
  const Shape& shape = known.form.shape;
  const int64_t tokens = shape.numel();
  try {
    known.numbers = Tensor::zeros({3 * tokens}, DType::i32);
    const auto part = [&](int64_t i) { return known.numbers.narrow(0, i * tokens, tokens).view(shape); };
    known.inputs = {.input_ids = part(0), .position_ids = part(1)};
    if (model_.spec().embeddings.token_types > 0) known.inputs.token_type_ids = part(2);
    if (known.form.masked) {
      known.inputs.attention_mask = Tensor::zeros(shape, DType::u8);
      known.inputs.attention_mask.on(device);
    }
    known.numbers.on(device);
    write(known, inputs);
    known.recorded = known.replay.record(device, [&] { known.outputs = compute(known.form.kind, known.inputs); });
  } catch (const Error& error) {
    notice("passes", fmt::format("are asked for kernel by kernel, since they cannot be recorded: {}", error.what()));
  }
  if (known.recorded) return true;
  possible_ = false;
  forget();
  return false;
}

bool ReplayedPasses::forget() {
  const bool any = std::any_of(known_.begin(), known_.end(), [](const Known& known) { return known.recorded; });
  known_.clear();
  return any;
}

ReplayedPasses::Outputs ReplayedPasses::run(Kind kind, const Inputs& inputs) {
  const std::optional<Form> form = form_of(kind, inputs);
  auto known = form ? std::find_if(known_.begin(), known_.end(), [&](const Known& one) { return one.form == *form; })
                    : known_.end();
  if (known != known_.end()) {
    known_.splice(known_.begin(), known_, known);
    if (known->recorded) {
      write(*known, inputs);
    } else if (!record(*known, inputs)) {
      return compute(kind, inputs);
    }
    known->replay.play();
    ++replays_;
    return known->outputs;
  }
  Outputs outputs;
  try {
    outputs = compute(kind, inputs);
  } catch (const Error&) {
    // The memory that recordings hold may be what lacks.
    if (!forget()) throw;
    outputs = compute(kind, inputs);
  }
  // The first of its form makes what is made once.
  if (form) known_.emplace_front().form = *form;
  if (known_.size() > most_forms) known_.pop_back();
  return outputs;
}

}  // namespace qkv
