// BLOOM: ALiBi and a norm behind the embeddings. BigScience, arXiv 2211.05100.
#include "qkv/models/family.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  const int64_t width = c.has("hidden_size") ? c.size("hidden_size") : c.size("n_embed");
  const int64_t heads = c.has("n_head") ? c.size("n_head") : c.size("num_attention_heads");
  const float dropout = c.probability("hidden_dropout", 0);
  const NormSpec norm{NormSpec::Kind::layer, static_cast<float>(c.positive("layer_norm_epsilon", 1e-5)), true};
  const AttentionSpec attention{.heads = heads,
                                .kv_heads = heads,
                                .head_dim = width % heads == 0 ? width / heads : 0,
                                .causal = true,
                                .alibi = 1,
                                .dropout = c.probability("attention_dropout", 0)};
  const FeedForwardSpec feed_forward{.width = 4 * width, .activation = Activation::gelu_tanh};
  const Residual residual =
      c.flag("apply_residual_connection_post_layernorm", false) ? Residual::from_norm : Residual::pre_norm;
  return {.task = task_of(c),
          .vocab = c.size("vocab_size"),
          .embeddings = {.norm = norm},
          .stack = {.width = width,
                    .layers = c.has("n_layer") ? c.size("n_layer") : c.size("num_hidden_layers"),
                    .max_positions = c.size("seq_length", 2048),
                    .block = {residual, norm, attention, feed_forward, dropout},
                    .final_norm = norm},
          .heads = {.language_model = task_of(c) == Task::causal_lm, .tied = c.flag("tie_word_embeddings", true)},
          .init_std = static_cast<float>(c.positive("initializer_range", 0.02))};
}

std::vector<WeightRule> weights(const Spec&) {
  const std::string layer = "transformer.h.*.";
  std::vector<WeightRule> rules = {{"embeddings.token", {"transformer.word_embeddings.weight"}},
                                   {"heads.language_model.weight", {"lm_head.weight"}}};
  for (const std::string end : {".weight", ".bias"})
    rules.insert(rules.end(), {{"embeddings.norm" + end, {"transformer.word_embeddings_layernorm" + end}},
                               {"stack.blocks.*.attention.qkv" + end,
                                {layer + "self_attention.query_key_value" + end},
                                WeightRule::Layout::grouped_heads},
                               {"stack.blocks.*.attention.out" + end, {layer + "self_attention.dense" + end}},
                               {"stack.blocks.*.norm1" + end, {layer + "input_layernorm" + end}},
                               {"stack.blocks.*.norm2" + end, {layer + "post_attention_layernorm" + end}},
                               {"stack.blocks.*.feed_forward.up" + end, {layer + "mlp.dense_h_to_4h" + end}},
                               {"stack.blocks.*.feed_forward.down" + end, {layer + "mlp.dense_4h_to_h" + end}},
                               {"stack.final_norm" + end, {"transformer.ln_f" + end}}});
  return rules;
}

Json config(const Sizes& s) {
  return {{"model_type", "bloom"},
          {"architectures", {"BloomForCausalLM"}},
          {"vocab_size", s.vocab},
          {"seq_length", s.context > 0 ? s.context : 2048},
          {"hidden_size", s.width > 0 ? s.width : 1024},
          {"n_layer", s.layers > 0 ? s.layers : 24},
          {"n_head", s.heads > 0 ? s.heads : 16},
          {"hidden_dropout", s.dropout},
          {"attention_dropout", s.dropout},
          {"layer_norm_epsilon", 1e-5},
          {"initializer_range", 0.02},
          {"tie_word_embeddings", s.tied}};
}

}  // namespace

extern const Family bloom{
    .type = "bloom",
    .name = "BLOOM",
    .paper = "BigScience 2022, arXiv 2211.05100",
    .spec = spec,
    .weights = weights,
    .unused = {"lm_head.weight"},
    .base_prefix = "transformer.",
    .config = config,
};

}  // namespace qkv::families
