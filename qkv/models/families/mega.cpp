// MEGA: a moving average before gated attention with one head. Ma et al., arXiv 2209.10655.
#include "qkv/models/class_heads.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  const Task task = task_of(c);
  if (task == Task::pretraining) c.fail("architectures", "names a head that this family does not have");
  const std::string norm = c.text("normalization_type", "scalenorm");
  if (norm != "scalenorm" && norm != "rmsnorm" && norm != "layernorm")
    c.fail("normalization_type", "is unknown", "layernorm, scalenorm or rmsnorm");
  const NormSpec::Kind kind = norm == "scalenorm" ? NormSpec::Kind::scale
                              : norm == "rmsnorm" ? NormSpec::Kind::weights
                                                  : NormSpec::Kind::layer;
  const bool lm = task == Task::causal_lm || task == Task::masked_lm;
  HeadsSpec heads = class_heads(c, c.probability("hidden_dropout_prob", 0.1F));
  heads.language_model = heads.tied = heads.language_model_bias = lm;
  if (task == Task::features || task == Task::multiple_choice) heads.pooler = true;
  if (lm && c.flag("add_lm_hidden_dense_layer", true)) heads.transform = Activation::tanh;
  const bool causal = c.flag("is_decoder", false);
  const bool pre_norm = c.flag("normalize_before_mega", true);
  if (pre_norm != c.flag("normalize_before_ffn", true)) c.fail("normalize_before_ffn", "is not normalize_before_mega");
  if (c.has("truncation")) c.fail("truncation", "is not supported", "null: the average is not cut short");
  if (causal && c.flag("bidirectional", true)) c.fail("bidirectional", "looks ahead, a decoder must not");
  const int64_t positions = c.size("max_positions", 2048);
  const int64_t chunk = c.integer("chunk_size", -1, -1, int64_t{1} << 30);
  const std::string weights = c.text("attention_activation", "softmax");
  GatedAttentionSpec mixer{.shared = c.size("shared_representation_size", 64),
                           .value = c.size("intermediate_size", 256),
                           .averages = c.size("ema_projection_size", 16),
                           .both_ways = c.flag("bidirectional", true),
                           .causal = causal,
                           .chunk = c.flag("use_chunking", false) ? std::max<int64_t>(chunk, 1) : 0,
                           .positions = chunk < 0 ? positions : chunk,
                           .distances = 2 * positions - 1,
                           .rotary_bias = c.text("relative_positional_bias", "rotary") == "rotary",
                           .activation = activation_named(c.text("activation", "silu")),
                           .dropout = c.probability("dropout_prob", 0.1F),
                           .value_dropout = c.probability("hidden_dropout_prob", 0.1F),
                           .attention_dropout = c.probability("attention_probs_dropout_prob", 0.1F)};
  if (weights != "softmax") mixer.pointwise = activation_named(weights);
  return {
      .task = task,
      .vocab = c.size("vocab_size", 30522),
      .embeddings = {.token_types = c.flag("add_token_type_embeddings", false) ? c.size("type_vocab_size", 2) : 0,
                     .padding_id = c.integer("pad_token_id", -1, -1, c.size("vocab_size", 30522) - 1)},
      .stack = {.width = c.size("hidden_size", 128),
                .layers = c.size("num_hidden_layers", 4),
                .max_positions = positions,
                .block = {.residual = pre_norm ? Residual::pre_norm : Residual::post_norm,
                          .norm = {.kind = kind, .affine = c.flag("norm_affine", true)},
                          .feed_forward = {.width =
                                               c.flag("use_normalized_ffn", true) ? c.size("nffn_hidden_size", 256) : 0,
                                           .activation = mixer.activation,
                                           .dropout = c.probability("nffn_activation_dropout_prob", 0.1F)},
                          .dropout = mixer.dropout,
                          .gated_attention = mixer}},
      .heads = heads,
      .init_std = static_cast<float>(c.positive("initializer_range", 0.02))};
}

std::vector<WeightRule> weights(const Spec& spec) {
  const std::string layer = "mega.layers.*.", mixer = layer + "mega_layer.", ours = "stack.blocks.*.mixer.";
  const bool scalar = spec.stack.block.norm.kind == NormSpec::Kind::scale;
  std::vector<WeightRule> rules = {{"embeddings.token", {"mega.embedding_layer.word_embeddings.weight"}},
                                   {"embeddings.segment", {"mega.embedding_layer.token_type_embeddings.weight"}}};
  for (const auto& [part, theirs] : {std::pair{"damping", "ema_gate.damping_factor"},
                                     {"decay", "ema_gate.decay_factor"},
                                     {"expansion", "ema_gate.ema_expansion_matrix"},
                                     {"projection", "ema_gate.kernel_projection_matrix"},
                                     {"average_skip", "ema_gate.residual_weight"},
                                     {"query_key.weight", "qk_weight"},
                                     {"query_key.bias", "qk_bias"},
                                     {"rotary_query", "rel_pos_bias.alpha"},
                                     {"rotary_key", "rel_pos_bias.b_param"},
                                     {"distances", "rel_pos_bias.rel_pos_bias"}})
    rules.push_back({ours + part, {mixer + theirs}});
  for (const std::string end : {".weight", ".bias"})
    rules.insert(rules.end(), {{ours + "values" + end, {mixer + "v_proj" + end}},
                               {ours + "gates" + end, {mixer + "mx_proj" + end}},
                               {ours + "out" + end, {mixer + "h_proj" + end}},
                               {"stack.blocks.*.norm1" + end, {mixer + "norm.norm" + (scalar ? ".scalar" : end)}},
                               {"stack.blocks.*.norm2" + end, {layer + "nffn.norm.norm" + (scalar ? ".scalar" : end)}},
                               {"stack.blocks.*.feed_forward.up" + end, {layer + "nffn.fc1" + end}},
                               {"stack.blocks.*.feed_forward.down" + end, {layer + "nffn.fc2" + end}},
                               {"heads.transform" + end, {"dense" + end}},
                               {"heads.language_model" + end, {(spec.causal() ? "lm_head" : "mlm_head") + end}}});
  for (WeightRule& rule : class_head_rules(spec, "classifier", "mega.pooler")) rules.push_back(std::move(rule));
  return rules;
}

Json config(const Sizes& s) {
  const int64_t width = s.width > 0 ? s.width : 512;
  Json json = {{"model_type", "mega"}, {"architectures", {"MegaForCausalLM"}}, {"vocab_size", s.vocab}};
  json.update({{"is_decoder", true}, {"bidirectional", false}});
  json["hidden_size"] = width;
  json["num_hidden_layers"] = s.layers > 0 ? s.layers : 6;
  json["intermediate_size"] = json["nffn_hidden_size"] = s.feed_forward > 0 ? s.feed_forward : 2 * width;
  json["shared_representation_size"] = std::max<int64_t>(4, width / 8 * 2);
  json["max_positions"] = s.context > 0 ? s.context : 2048;
  for (const char* key : {"dropout", "hidden_dropout", "attention_probs_dropout", "nffn_activation_dropout"})
    json[std::string(key) + "_prob"] = s.dropout;
  return json;
}

}  // namespace

extern const Family mega{
    .type = "mega",
    .name = "MEGA",
    .paper = "Ma et al. 2022, arXiv 2209.10655",
    .spec = spec,
    .weights = weights,
    .unused = {"mega.layers.*.mega_layer.rel_pos_bias._float_tensor", "mlm_head.weight", "lm_head.weight"},
    .base_prefix = "mega.",
    .config = config,
};

}  // namespace qkv::families
