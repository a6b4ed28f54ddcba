// GPT-NeoX and Pythia: Black et al., arXiv 2204.06745; Biderman et al., arXiv 2304.01373.
#include "qkv/models/family.h"
#include "qkv/models/rotary_config.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  const int64_t width = c.size("hidden_size");
  const int64_t heads = c.size("num_attention_heads");
  const int64_t head_dim = width % heads == 0 ? width / heads : 0;
  const int64_t positions = c.size("max_position_embeddings", 2048);
  const float dropout = c.probability("hidden_dropout", 0);
  const bool bias = c.flag("attention_bias", true);
  const NormSpec norm{NormSpec::Kind::layer, static_cast<float>(c.positive("layer_norm_eps", 1e-5)), true};
  const AttentionSpec attention{.heads = heads,
                                .kv_heads = heads,
                                .head_dim = head_dim,
                                .causal = true,
                                .qkv_bias = bias,
                                .out_bias = bias,
                                .rotary = rotary_spec(c, head_dim, positions, 0.25),
                                .dropout = c.probability("attention_dropout", 0)};
  const FeedForwardSpec feed_forward{.width = c.size("intermediate_size", 4 * width),
                                     .activation = activation_named(c.text("hidden_act", "gelu"))};
  const Residual residual = c.flag("use_parallel_residual", true) ? Residual::parallel : Residual::pre_norm;
  return {.task = task_of(c),
          .vocab = c.size("vocab_size"),
          .embeddings = {.dropout = dropout},
          .stack = {.width = width,
                    .layers = c.size("num_hidden_layers"),
                    .max_positions = positions,
                    .block = {residual, norm, attention, feed_forward, dropout},
                    .final_norm = norm},
          .heads = {.language_model = task_of(c) == Task::causal_lm, .tied = c.flag("tie_word_embeddings", false)},
          .init_std = static_cast<float>(c.positive("initializer_range", 0.02))};
}

std::vector<WeightRule> weights(const Spec&) {
  const std::string layer = "gpt_neox.layers.*.";
  std::vector<WeightRule> rules = {{"embeddings.token", {"gpt_neox.embed_in.weight"}},
                                   {"heads.language_model.weight", {"embed_out.weight"}}};
  for (const std::string end : {".weight", ".bias"})
    rules.insert(rules.end(), {{"stack.blocks.*.attention.qkv" + end,
                                {layer + "attention.query_key_value" + end},
                                WeightRule::Layout::grouped_heads},
                               {"stack.blocks.*.attention.out" + end, {layer + "attention.dense" + end}},
                               {"stack.blocks.*.norm1" + end, {layer + "input_layernorm" + end}},
                               {"stack.blocks.*.norm2" + end, {layer + "post_attention_layernorm" + end}},
                               {"stack.blocks.*.feed_forward.up" + end, {layer + "mlp.dense_h_to_4h" + end}},
                               {"stack.blocks.*.feed_forward.down" + end, {layer + "mlp.dense_4h_to_h" + end}},
                               {"stack.final_norm" + end, {"gpt_neox.final_layer_norm" + end}}});
  return rules;
}

Json config(const Sizes& s) {
  const int64_t width = s.width > 0 ? s.width : 768;
  return {{"model_type", "gpt_neox"},
          {"architectures", {"GPTNeoXForCausalLM"}},
          {"vocab_size", s.vocab},
          {"max_position_embeddings", s.context > 0 ? s.context : 2048},
          {"hidden_size", width},
          {"num_hidden_layers", s.layers > 0 ? s.layers : 12},
          {"num_attention_heads", s.heads > 0 ? s.heads : 12},
          {"intermediate_size", s.feed_forward > 0 ? s.feed_forward : 4 * width},
          {"hidden_act", "gelu"},
          {"rotary_pct", 0.25},
          {"rotary_emb_base", 10000},
          {"use_parallel_residual", true},
          {"hidden_dropout", s.dropout},
          {"attention_dropout", s.dropout},
          {"layer_norm_eps", 1e-5},
          {"initializer_range", 0.02},
          {"tie_word_embeddings", s.tied}};
}

}  // namespace

extern const Family gpt_neox{
    .type = "gpt_neox",
    .name = "GPT-NeoX",
    .paper = "Black et al. 2022, arXiv 2204.06745",
    .spec = spec,
    .weights = weights,
    .unused = {"gpt_neox.layers.*.attention.bias", "gpt_neox.layers.*.attention.masked_bias",
               "gpt_neox.layers.*.attention.rotary_emb.inv_freq", "embed_out.weight"},
    .base_prefix = "gpt_neox.",
    .config = config,
};

}  // namespace qkv::families
