// Mamba: no attention, a selective state space in each layer. Gu & Dao, arXiv 2312.00752.
#include "qkv/models/family.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  const int64_t width = c.size("hidden_size");
  const bool auto_rank = !c.has("time_step_rank") || c.json().at("time_step_rank") == "auto";
  const Task task = task_of(c);
  if (task != Task::causal_lm && task != Task::features)
    c.fail("architectures", "names a head that this family does not have", "MambaForCausalLM");
  const NormSpec norm{NormSpec::Kind::rms, static_cast<float>(c.positive("layer_norm_epsilon", 1e-5))};
  const StateSpaceSpec mixer{.width = c.size("intermediate_size", c.size("expand", 2) * width),
                             .states = c.size("state_size", 16),
                             .taps = c.size("conv_kernel", 4),
                             .rank = auto_rank ? (width + 15) / 16 : c.size("time_step_rank"),
                             .bias = c.flag("use_bias", false),
                             .conv_bias = c.flag("use_conv_bias", true),
                             .activation = activation_named(c.text("hidden_act", "silu"))};
  return {.task = task,
          .vocab = c.size("vocab_size"),
          .stack = {.width = width,
                    .layers = c.size("num_hidden_layers"),
                    .block = {.norm = norm, .state_space = mixer},
                    .final_norm = norm},
          .heads = {.language_model = task == Task::causal_lm, .tied = c.flag("tie_word_embeddings", true)},
          .init_std = static_cast<float>(c.positive("initializer_range", 0.1)),
          .embeddings_shown = false,
          .scale_residual_init = true};
}

std::vector<WeightRule> weights(const Spec&) {
  const std::string layer = "backbone.layers.*.", mixer = layer + "mixer.", ours = "stack.blocks.*.mixer.";
  std::vector<WeightRule> rules = {{"embeddings.token", {"backbone.embeddings.weight"}},
                                   {"stack.blocks.*.norm1.weight", {layer + "norm.weight"}},
                                   {ours + "select.weight", {mixer + "x_proj.weight"}},
                                   {ours + "log_a", {mixer + "A_log"}},
                                   {ours + "skip", {mixer + "D"}},
                                   {"stack.final_norm.weight", {"backbone.norm_f.weight"}},
                                   {"heads.language_model.weight", {"lm_head.weight"}}};
  for (const std::string end : {".weight", ".bias"})
    rules.insert(rules.end(), {{ours + "in" + end, {mixer + "in_proj" + end}},
                               {ours + "conv" + end, {mixer + "conv1d" + end}},
                               {ours + "step" + end, {mixer + "dt_proj" + end}},
                               {ours + "out" + end, {mixer + "out_proj" + end}}});
  return rules;
}

Json config(const Sizes& s) {
  return {{"model_type", "mamba"},
          {"architectures", {"MambaForCausalLM"}},
          {"vocab_size", s.vocab},
          {"hidden_size", s.width > 0 ? s.width : 768},
          {"intermediate_size", s.feed_forward > 0 ? s.feed_forward : 2 * (s.width > 0 ? s.width : 768)},
          {"num_hidden_layers", s.layers > 0 ? s.layers : 24},
          {"state_size", 16},
          {"conv_kernel", 4},
          {"layer_norm_epsilon", 1e-5},
          {"initializer_range", 0.02},
          {"tie_word_embeddings", s.tied}};
}

}  // namespace

extern const Family mamba{
    .type = "mamba",
    .name = "Mamba",
    .paper = "Gu & Dao 2023, arXiv 2312.00752",
    .spec = spec,
    .weights = weights,
    .unused = {"lm_head.weight"},
    .base_prefix = "backbone.",
    .config = config,
};

}  // namespace qkv::families
