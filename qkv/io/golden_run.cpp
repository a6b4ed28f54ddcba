#include "qkv/io/golden_run.h"

#include "qkv/core/error.h"
#include "qkv/io/golden_layouts.h"
#include "qkv/models/global_tokens.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/cross_entropy.h"
#include "qkv/ops/shape.h"

#include <algorithm>

namespace qkv {
namespace {

Tensor ids_of(const Safetensors& golden, const std::string& name) {
  return golden.contains(name) ? cast(golden.get(name), DType::i32) : Tensor();
}

// Which position each row of a target mapping [B, M, T] picks.
Tensor targets_of(const Tensor& mapping) {
  const std::vector<float> values = mapping.to_vector<float>();
  const size_t T = static_cast<size_t>(mapping.size(2));
  std::vector<int32_t> targets;
  for (auto row = values.begin(); row != values.end(); row += static_cast<ptrdiff_t>(T)) {
    const auto end = row + static_cast<ptrdiff_t>(T);
    if (std::count(row, end, 1.0F) != 1 || std::count(row, end, 0.0F) != static_cast<ptrdiff_t>(T) - 1)
      throw Error("target_mapping", "has a row that does not pick one position");
    targets.push_back(static_cast<int32_t>(std::find(row, end, 1.0F) - row));
  }
  return Tensor::from({mapping.size(0), mapping.size(1)}, targets);
}

// Causal golden labels stand at their own positions; ours are the next token's.
Tensor shifted(const Tensor& labels) {
  std::vector<int32_t> values = labels.to_vector<int32_t>();
  const size_t length = static_cast<size_t>(labels.size(1));
  for (size_t begin = 0; begin < values.size(); begin += length) {
    std::rotate(values.begin() + static_cast<ptrdiff_t>(begin), values.begin() + static_cast<ptrdiff_t>(begin + 1),
                values.begin() + static_cast<ptrdiff_t>(begin + length));
    values[begin + length - 1] = ignored_target;
  }
  return Tensor::from<int32_t>(labels.shape(), values);
}

Inputs inputs_of(const Safetensors& golden, const std::string& prefix, const Spec& spec) {
  Inputs inputs;
  inputs.input_ids = ids_of(golden, prefix + "input_ids");
  if (golden.contains(prefix + "input_ids_query")) {  // retrieval
    inputs.input_ids = ids_of(golden, prefix + "input_ids_query");
    inputs.attention_mask = cast(golden.get(prefix + "attention_mask_query"), DType::u8);
    inputs.document_ids = ids_of(golden, prefix + "input_ids_doc");
    inputs.document_mask = cast(golden.get(prefix + "attention_mask_doc"), DType::u8);
  }
  if (golden.contains(prefix + "attention_mask"))
    inputs.attention_mask = cast(golden.get(prefix + "attention_mask"), DType::u8);
  inputs.decoder_input_ids = ids_of(golden, prefix + "decoder_input_ids");
  inputs.token_type_ids = ids_of(golden, prefix + "token_type_ids");
  inputs.position_ids = ids_of(golden, prefix + "position_ids");
  if (golden.contains(prefix + "global_attention_mask"))
    inputs.global_attention = cast(golden.get(prefix + "global_attention_mask"), DType::u8);
  if (!inputs.global_attention) inputs.global_attention = usual_global_tokens(spec, inputs.input_ids);
  if (golden.contains(prefix + "perm_mask"))
    inputs.hidden_pairs =
        Tensor::from(golden.shape(prefix + "perm_mask"), golden.get(prefix + "perm_mask").to_vector<uint8_t>());
  if (golden.contains(prefix + "target_mapping")) inputs.targets = targets_of(golden.get(prefix + "target_mapping"));
  inputs.next_sentence = ids_of(golden, prefix + "next_sentence_label");
  if (!inputs.next_sentence) inputs.next_sentence = ids_of(golden, prefix + "sentence_order_label");
  inputs.start_positions = ids_of(golden, prefix + "start_positions");
  inputs.end_positions = ids_of(golden, prefix + "end_positions");
  if (golden.contains(prefix + "labels")) {
    const bool classes = golden.dtype(prefix + "labels") == DType::i64;
    inputs.labels = classes ? ids_of(golden, prefix + "labels") : golden.get(prefix + "labels");
    if (spec.task == Task::causal_lm) inputs.labels = shifted(inputs.labels);
  }
  return inputs;
}

// The memory that a run is given: "past_mems.0" and so on, [M, B, D].
Past past_of(const Safetensors& golden, const std::string& prefix, const Spec& spec, Device device) {
  Past past;
  for (int64_t i = 0; i < spec.layers(); ++i)
    if (const std::string name = fmt::format("{}past_mems.{}", prefix, i); golden.contains(name))
      past.states.push_back(clone(golden.get(name).transpose(0, 1)).to(device));
  return past;
}

// Of the last M positions, [M, B]: what the mask shows.
std::vector<uint8_t> shown_last(const Tensor& mask, int64_t M) {
  if (!mask || M > mask.size(1)) return {};
  return clone(mask.narrow(1, mask.size(1) - M, M).transpose(0, 1)).to_vector<uint8_t>();
}

// Compares what a tap saw of tokens and queries, which the golden file has apart: hidden states alternately, attention
// as ".0" and ".1".
void compare_streams(const std::string& prefix, const std::string& name, const Tensor& value, const Inputs& inputs,
                     const std::vector<uint8_t>& visible, GoldenComparison& comparison) {
  const int64_t T = inputs.input_ids.size(1);
  const int64_t M = inputs.targets.size(1);
  if (name.starts_with("attentions.")) {
    std::vector<uint8_t> at(static_cast<size_t>(inputs.input_ids.numel()), 0);
    for (int64_t i = 0; i < inputs.targets.numel(); ++i)
      at[static_cast<size_t>(i / M * T + inputs.targets.data<int32_t>()[i])] = 1;
    comparison.add(prefix + name + ".0", clone(value.narrow(2, 0, T)), visible, 2);
    comparison.add(prefix + name + ".1", at_targets(clone(value.narrow(2, T, M)), inputs.targets, T), at, 2);
    return;
  }
  const size_t dot = name.rfind('.');
  const int layer = std::stoi(name.substr(dot + 1));
  comparison.add(fmt::format("{}{}.{}", prefix, name.substr(0, dot), 2 * layer), clone(value.narrow(1, 0, T)), visible,
                 1);
  comparison.add(fmt::format("{}{}.{}", prefix, name.substr(0, dot), 2 * layer + 1), clone(value.narrow(1, T, M)), {},
                 1);
}

// Listens at the points that the golden file has results for.
struct Listener {
  std::map<std::string, std::string> golden_names;  // ours -> theirs
  std::map<std::string, Tensor> seen;
  Taps taps;

  explicit Listener(const Spec& spec) {
    taps.wants = [this](const std::string& name) { return golden_names.count(name) > 0; };
    taps.see = [this](const std::string& name, const Tensor& value) {
      seen[golden_names.at(name)] = value.to({});
      return value;
    };
    // A plain projection behind the stack belongs to it in transformers.
    const bool projected = spec.heads.transform == Activation::none;
    if (!spec.encoder) {
      listen(spec.stack, "", "", projected, spec.embeddings_shown);
      return;
    }
    listen(spec.encoder->stack, "encoder.", "encoder_", false);
    listen(spec.stack, "", "decoder_", projected);
    for (int64_t i = 0; i < spec.layers(); ++i)
      golden_names[fmt::format("blocks.{}.cross_attn.hook_pattern", i)] = fmt::format("cross_attentions.{}", i);
  }

 private:
  void listen(const StackSpec& stack, const std::string& ours, const std::string& theirs, bool projected,
              bool embeddings_shown = true) {
    int64_t router = 0;
    for (int64_t i = 0; i < stack.layers; ++i) {
      const std::string block = fmt::format("{}blocks.{}.", ours, i);
      golden_names[block + "attn.hook_global_pattern"] = fmt::format("{}global_attentions.{}", theirs, i);
      golden_names[block + "attn.hook_pattern"] = fmt::format("{}attentions.{}", theirs, i);
      golden_names[block + (embeddings_shown ? "hook_resid_pre" : "hook_resid_post")] =
          fmt::format("{}hidden_states.{}", theirs, i);
      // Layers without experts are not counted.
      if (stack.layer(i).experts)
        golden_names[block + "mlp.hook_router_logits"] = fmt::format("{}router_logits.{}", theirs, router++);
    }
    const std::string last_block = fmt::format("{}blocks.{}.hook_resid_post", ours, stack.layers - 1);
    // Of two streams, transformers shows the second, before the norm of both.
    const bool normed = stack.final_norm && stack.block.residual != Residual::reversible;
    golden_names[ours + (projected ? "unembed.hook_in"
                         : normed  ? "ln_final.hook_normalized"
                                   : last_block.substr(ours.size()))] =
        fmt::format("{}hidden_states.{}", theirs, stack.layers);
  }
};

// Losses of routers, by the names of the stacks that have them.
void compare_routing(const std::vector<Routing>& routing, const Inputs& inputs, const Spec& spec,
                     const std::string& prefix, GoldenComparison& comparison) {
  for (const bool encoder : {true, false}) {
    std::vector<Routing> layers;
    for (const Routing& layer : routing)
      if (layer.part.empty() != encoder) layers.push_back(layer);
    if (layers.empty()) continue;
    const std::string part = encoder ? "encoder_" : spec.encoder ? "decoder_" : "";
    const bool by_sequence = (encoder ? spec.encoder->stack : spec.stack).experts()->by_sequence;
    comparison.add(prefix + part + "aux_loss",
                   balance_loss(layers, by_sequence ? Tensor() : inputs.attention_mask, by_sequence), {}, 0);
    comparison.add(prefix + part + "z_loss", z_loss(layers), {}, 0);
  }
}

// Attention [B, chunks, T / chunks, S], in place of [B, H, T, S].
bool in_chunks(const Tensor& pattern, const StackSpec& stack) {
  const auto& gated = stack.block.gated_attention;
  return gated && gated->chunk > 0 && pattern.rank() == 4;
}

}  // namespace

void compare_run(Model& model, const Safetensors& golden, const std::string& prefix, DType compute,
                 double gradient_tolerance, GoldenComparison& comparison) {
  const Inputs inputs = inputs_of(golden, prefix, model.spec());
  Listener listener(model.spec());
  std::vector<Routing> routing;
  Past past = past_of(golden, prefix, model.spec(), model.device());
  const Past before = past;
  Context context{.compute = compute, .past = &past, .taps = &listener.taps, .routing = &routing};
  // transformers takes a call of FSMT without labels for a step of decoding, and then masks nothing in its decoder.
  context.unmasked = model.spec().hides_padding && !inputs.labels;
  if (golden.contains("lsh_rotations")) context.rotations = golden.get("lsh_rotations");
  std::vector<std::pair<std::string, Tensor>> outputs;
  {
    const NoGrad no_grad;
    outputs = model.outputs(inputs, context);
    compare_routing(routing, inputs, model.spec(), prefix, comparison);
  }
  const std::vector<uint8_t> visible =
      inputs.attention_mask ? inputs.attention_mask.to_vector<uint8_t>() : std::vector<uint8_t>();
  const bool per_position = model.spec().task != Task::retrieval &&
                            model.spec().task != Task::sequence_classification &&
                            model.spec().task != Task::multiple_choice;
  // The mask is of the ids that the encoder reads.
  const auto masks = [&](const std::string& name) { return !model.spec().encoder || name.starts_with("encoder_"); };
  for (const auto& [name, value] : outputs) {
    const bool masked = per_position && masks(name) && !inputs.targets && name != model.spec().heads.sentence_logits &&
                        name != "pooler_output";
    comparison.add(prefix + name, value, masked ? visible : std::vector<uint8_t>(), 1);
  }
  if (golden.contains(prefix + "losses") && model.spec().embeddings.adaptive)
    comparison.add(prefix + "losses",
                   losses_of(contiguous(outputs[0].second).to({}), inputs.labels, *model.spec().embeddings.adaptive),
                   {}, 0);
  for (size_t i = 0; i < past.states.size(); ++i)
    comparison.add(
        fmt::format("{}mems.{}", prefix, i), clone(past.states[i].transpose(0, 1)),
        before.states.empty() ? shown_last(inputs.attention_mask, past.states[i].size(1)) : std::vector<uint8_t>(), 0);
  for (const auto& [name, value] : listener.seen) {
    if (inputs.targets) {
      compare_streams(prefix, name, value, inputs, visible, comparison);
      continue;
    }
    if (name.starts_with("global_attentions.")) {
      comparison.add(prefix + name,
                     global_pattern(value, inputs.global_attention, inputs.attention_mask, model.spec().stack), {}, 2);
      continue;
    }
    if (name.starts_with("attentions.") && model.spec().stack.block.attention.global) {
      const int64_t window = model.spec().stack.layer(std::stoi(name.substr(name.rfind('.') + 1))).attention.window;
      comparison.add(prefix + name, banded(value, window, inputs.global_attention), visible, 2);
      continue;
    }
    // In chunks of hashed attention, positions stand in another order.
    const bool pattern = name.find("attentions.") != std::string::npos;
    const bool reordered = pattern && value.rank() == 5;
    const bool chunked = pattern && in_chunks(value, model.spec().stack);
    comparison.add(prefix + name, value, masks(name) && !reordered ? visible : std::vector<uint8_t>(),
                   !pattern  ? 1
                   : chunked ? 0
                             : 2);
  }
  if (!golden.contains(prefix + "loss")) return;

  context.taps = nullptr;
  context.routing = nullptr;
  past = before;
  context.training = true;  // no golden case has dropout; losses of routers count
  const Tensor loss = model.loss(inputs, context);
  comparison.add(prefix + "loss", loss, {}, 0);
  if (!prefix.empty()) return;
  backward(loss);
  std::map<std::string, Tensor> gradients;
  for (const NamedTensor& tensor : checkpoint_gradients(model)) gradients[tensor.name] = tensor.value;
  comparison.add_gradients(gradients, gradient_tolerance);
}

}  // namespace qkv
