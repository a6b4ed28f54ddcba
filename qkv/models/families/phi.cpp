// Phi 1 to 2: both branches in parallel behind one norm, part of each head turns. Li et al., arXiv 2309.05463.
#include "qkv/models/family.h"
#include "qkv/models/rotary_config.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  const int64_t width = c.size("hidden_size");
  const int64_t heads = c.size("num_attention_heads");
  const int64_t head_dim = width % heads == 0 ? width / heads : 0;
  const int64_t positions = c.size("max_position_embeddings", 2048);
  const float dropout = c.probability("resid_pdrop", 0);
  const NormSpec norm{NormSpec::Kind::layer, static_cast<float>(c.positive("layer_norm_eps", 1e-5)), true};
  AttentionSpec attention{.heads = heads,
                          .kv_heads = c.size("num_key_value_heads", heads),
                          .head_dim = head_dim,
                          .causal = true,
                          .rotary = rotary_spec(c, head_dim, positions, 0.5),
                          .dropout = c.probability("attention_dropout", 0)};
  if (c.flag("qk_layernorm", false)) attention.head_norm = norm;
  const FeedForwardSpec feed_forward{.width = c.size("intermediate_size", 4 * width),
                                     .activation = activation_named(c.text("hidden_act", "gelu_new"))};
  return {.task = task_of(c),
          .vocab = c.size("vocab_size"),
          .embeddings = {.dropout = c.probability("embd_pdrop", 0),
                         .padding_id = c.integer("pad_token_id", -1, -1, c.size("vocab_size") - 1)},
          .stack = {.width = width,
                    .layers = c.size("num_hidden_layers"),
                    .max_positions = positions,
                    .block = {.residual = Residual::parallel,
                              .norm = norm,
                              .attention = attention,
                              .feed_forward = feed_forward,
                              .dropout = dropout,
                              .shared_norm = true},
                    .final_norm = norm},
          .heads = {.language_model = task_of(c) == Task::causal_lm,
                    .tied = c.flag("tie_word_embeddings", false),
                    .language_model_bias = true},
          .init_std = static_cast<float>(c.positive("initializer_range", 0.02)),
          // transformers 4.36 knew no key/value heads here and kept one fused projection.
          .older_names = !c.has("num_key_value_heads")};
}

std::vector<WeightRule> weights(const Spec& spec) {
  const std::string layer = "model.layers.*.";
  const std::string self = layer + "self_attn.";
  std::vector<WeightRule> rules = {{"embeddings.token", {"model.embed_tokens.weight"}}};
  for (const std::string end : {".weight", ".bias"}) {
    rules.push_back(
        {"stack.blocks.*.attention.qkv" + end, {self + "q_proj" + end, self + "k_proj" + end, self + "v_proj" + end}});
    if (spec.older_names)
      rules.back() = {
          "stack.blocks.*.attention.qkv" + end, {self + "query_key_value" + end}, WeightRule::Layout::grouped_heads};
    rules.insert(rules.end(), {{"stack.blocks.*.attention.q_norm" + end, {self + "q_layernorm" + end}},
                               {"stack.blocks.*.attention.k_norm" + end, {self + "k_layernorm" + end}},
                               {"stack.blocks.*.attention.out" + end, {self + "dense" + end}},
                               {"stack.blocks.*.norm1" + end, {layer + "input_layernorm" + end}},
                               {"stack.blocks.*.feed_forward.up" + end, {layer + "mlp.fc1" + end}},
                               {"stack.blocks.*.feed_forward.down" + end, {layer + "mlp.fc2" + end}},
                               {"stack.final_norm" + end, {"model.final_layernorm" + end}},
                               {"heads.language_model" + end, {"lm_head" + end}}});
  }
  return rules;
}

Json config(const Sizes& s) {
  const int64_t width = s.width > 0 ? s.width : 2048;
  const int64_t heads = s.heads > 0 ? s.heads : 32;
  return {{"model_type", "phi"},
          {"architectures", {"PhiForCausalLM"}},
          {"vocab_size", s.vocab},
          {"max_position_embeddings", s.context > 0 ? s.context : 2048},
          {"hidden_size", width},
          {"num_hidden_layers", s.layers > 0 ? s.layers : 24},
          {"num_attention_heads", heads},
          {"num_key_value_heads", s.kv_heads > 0 ? s.kv_heads : heads},
          {"intermediate_size", s.feed_forward > 0 ? s.feed_forward : 4 * width},
          {"hidden_act", "gelu_new"},
          {"partial_rotary_factor", 0.5},
          {"rope_theta", 10000.0},
          {"resid_pdrop", s.dropout},
          {"embd_pdrop", s.dropout},
          {"attention_dropout", s.dropout},
          {"layer_norm_eps", 1e-5},
          {"initializer_range", 0.02},
          {"tie_word_embeddings", s.tied}};
}

}  // namespace

extern const Family phi{
    .type = "phi",
    .name = "Phi",
    .paper = "Li et al. 2023, arXiv 2309.05463",
    .spec = spec,
    .weights = weights,
    .unused = {"model.layers.*.self_attn.rotary_emb.inv_freq", "lm_head.weight"},
    .base_prefix = "model.",
    .config = config,
    .token_head = "score",
};

}  // namespace qkv::families
