// Falcon: one key head or a few, branches in parallel; its first models have ALiBi. Almazrouei et al.,
// arXiv 2311.16867.
#include "qkv/models/family.h"
#include "qkv/models/rotary_config.h"

#include <cmath>

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  const int64_t width = c.size("hidden_size");
  const int64_t heads = c.has("n_head") ? c.size("n_head") : c.size("num_attention_heads");
  const int64_t head_dim = width % heads == 0 ? width / heads : 0;
  const int64_t positions = c.size("max_position_embeddings", 2048);
  const bool bias = c.flag("bias", false);
  // Its first release called the models RefinedWebModel and, of the newer form, RefinedWeb.
  const bool newer = c.flag("new_decoder_architecture", c.text("model_type", "") == "RefinedWeb");
  const bool one_key_head = !newer && c.flag("multi_query", true);
  const NormSpec norm{NormSpec::Kind::layer, static_cast<float>(c.positive("layer_norm_epsilon", 1e-5)), true};
  AttentionSpec attention{.heads = heads,
                          .kv_heads = one_key_head ? 1
                                      : newer      ? c.size("num_kv_heads", heads)
                                                   : heads,
                          .head_dim = head_dim,
                          .causal = true,
                          .qkv_bias = bias,
                          .out_bias = bias,
                          .dropout = c.probability("attention_dropout", 0)};
  if (c.flag("alibi", false)) {
    // The eager form in transformers adds the slopes once with the scores and once more with the mask; its default
    // form, which the checkpoints were trained with, adds them once.
    const float times = c.text("_attn_implementation", "") == "eager" ? 2 : 1;
    attention.alibi = times / std::sqrt(static_cast<float>(head_dim));
  } else {
    attention.rotary = rotary_spec(c, head_dim, positions);
  }
  const FeedForwardSpec feed_forward{.width = c.size("ffn_hidden_size", 4 * width),
                                     .activation = activation_named(c.text("activation", "gelu")),
                                     .bias = bias};
  const bool parallel = newer || c.flag("parallel_attn", true);
  const bool one_norm = parallel && c.integer("num_ln_in_parallel_attn", newer ? 2 : 1, 1, 2) == 1;
  return {.task = task_of(c),
          .vocab = c.size("vocab_size"),
          .stack = {.width = width,
                    .layers = c.has("n_layer") ? c.size("n_layer") : c.size("num_hidden_layers"),
                    .max_positions = positions,
                    .block = {.residual = parallel ? Residual::parallel : Residual::pre_norm,
                              .norm = norm,
                              .attention = attention,
                              .feed_forward = feed_forward,
                              .dropout = c.probability("hidden_dropout", 0),
                              .shared_norm = one_norm},
                    .final_norm = norm},
          .heads = {.language_model = task_of(c) == Task::causal_lm, .tied = c.flag("tie_word_embeddings", true)},
          .init_std = static_cast<float>(c.positive("initializer_range", 0.02))};
}

std::vector<WeightRule> weights(const Spec& spec) {
  const BlockSpec& block = spec.stack.block;
  const bool two_norms = block.residual == Residual::parallel && !block.shared_norm;
  const std::string layer = "transformer.h.*.";
  std::vector<WeightRule> rules = {{"embeddings.token", {"transformer.word_embeddings.weight"}},
                                   {"heads.language_model.weight", {"lm_head.weight"}}};
  for (const std::string end : {".weight", ".bias"})
    rules.insert(rules.end(),
                 {{"stack.blocks.*.attention.qkv" + end,
                   {layer + "self_attention.query_key_value" + end},
                   WeightRule::Layout::grouped_heads},
                  {"stack.blocks.*.attention.out" + end, {layer + "self_attention.dense" + end}},
                  {"stack.blocks.*.norm1" + end, {layer + (two_norms ? "ln_attn" : "input_layernorm") + end}},
                  {"stack.blocks.*.norm2" + end, {layer + (two_norms ? "ln_mlp" : "post_attention_layernorm") + end}},
                  {"stack.blocks.*.feed_forward.up" + end, {layer + "mlp.dense_h_to_4h" + end}},
                  {"stack.blocks.*.feed_forward.down" + end, {layer + "mlp.dense_4h_to_h" + end}},
                  {"stack.final_norm" + end, {"transformer.ln_f" + end}}});
  return rules;
}

Json config(const Sizes& s) {
  const int64_t width = s.width > 0 ? s.width : 2048;
  return {{"model_type", "falcon"},
          {"architectures", {"FalconForCausalLM"}},
          {"vocab_size", s.vocab},
          {"max_position_embeddings", s.context > 0 ? s.context : 2048},
          {"hidden_size", width},
          {"num_hidden_layers", s.layers > 0 ? s.layers : 24},
          {"num_attention_heads", s.heads > 0 ? s.heads : 32},
          {"ffn_hidden_size", s.feed_forward > 0 ? s.feed_forward : 4 * width},
          {"activation", "gelu"},
          {"multi_query", true},
          {"parallel_attn", true},
          {"bias", false},
          {"hidden_dropout", s.dropout},
          {"attention_dropout", s.dropout},
          {"layer_norm_epsilon", 1e-5},
          {"initializer_range", 0.02},
          {"tie_word_embeddings", s.tied}};
}

}  // namespace

extern const Family falcon{
    .type = "falcon",
    .name = "Falcon",
    .paper = "Almazrouei et al. 2023, arXiv 2311.16867",
    .spec = spec,
    .weights = weights,
    .unused = {"lm_head.weight"},
    .base_prefix = "transformer.",
    .config = config,
    .older_types = {"RefinedWeb", "RefinedWebModel"},
};

}  // namespace qkv::families
