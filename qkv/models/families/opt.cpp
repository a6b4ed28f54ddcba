// OPT: Zhang et al., arXiv 2205.01068.
#include "qkv/models/family.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  const int64_t width = c.size("hidden_size");
  const int64_t heads = c.size("num_attention_heads");
  const int64_t positions = c.size("max_position_embeddings", 2048);
  const int64_t narrow = c.size("word_embed_proj_dim", width);
  const float dropout = c.probability("dropout", 0.1F);
  const bool bias = c.flag("enable_bias", true);
  const bool before = c.flag("do_layer_norm_before", true);
  if (!c.flag("layer_norm_elementwise_affine", true))
    c.fail("layer_norm_elementwise_affine", "is false: norms without weights are not supported");
  const NormSpec norm{NormSpec::Kind::layer, 1e-5F, true};
  const AttentionSpec attention{.heads = heads,
                                .kv_heads = heads,
                                .head_dim = width % heads == 0 ? width / heads : 0,
                                .causal = true,
                                .qkv_bias = bias,
                                .out_bias = bias,
                                .dropout = c.probability("attention_dropout", 0)};
  const FeedForwardSpec feed_forward{.width = c.size("ffn_dim", 4 * width),
                                     .activation = activation_named(c.text("activation_function", "relu")),
                                     .bias = bias};
  Spec spec{
      .task = task_of(c),
      .vocab = c.size("vocab_size"),
      .embeddings = {.positions = positions + 2,
                     .position_offset = 2,
                     .padding_id = c.integer("pad_token_id", 1, -1, c.size("vocab_size") - 1)},
      .stack = {.width = width,
                .layers = c.size("num_hidden_layers"),
                .max_positions = positions,
                .block = {before ? Residual::pre_norm : Residual::post_norm, norm, attention, feed_forward, dropout}},
      .heads = {.language_model = task_of(c) == Task::causal_lm, .tied = c.flag("tie_word_embeddings", true)},
      .init_std = static_cast<float>(c.positive("init_std", 0.02))};
  if (before && !c.flag("_remove_final_layer_norm", false)) spec.stack.final_norm = norm;
  if (narrow != width) {
    spec.embeddings.width = narrow;
    spec.embeddings.project_tokens = true;
    spec.heads.transform = Activation::none;
    spec.heads.transform_width = narrow;
    spec.heads.transform_bias = false;
  }
  return spec;
}

std::vector<WeightRule> weights(const Spec&) {
  const std::string decoder = "model.decoder.";
  const std::string layer = decoder + "layers.*.";
  const std::string self = layer + "self_attn.";
  std::vector<WeightRule> rules = {{"embeddings.token", {decoder + "embed_tokens.weight"}},
                                   {"embeddings.position", {decoder + "embed_positions.weight"}},
                                   {"embeddings.projection.weight", {decoder + "project_in.weight"}},
                                   {"heads.transform.weight", {decoder + "project_out.weight"}},
                                   {"heads.language_model.weight", {"lm_head.weight"}}};
  for (const std::string end : {".weight", ".bias"})
    rules.insert(rules.end(), {{"stack.blocks.*.attention.qkv" + end,
                                {self + "q_proj" + end, self + "k_proj" + end, self + "v_proj" + end}},
                               {"stack.blocks.*.attention.out" + end, {self + "out_proj" + end}},
                               {"stack.blocks.*.norm1" + end, {layer + "self_attn_layer_norm" + end}},
                               {"stack.blocks.*.norm2" + end, {layer + "final_layer_norm" + end}},
                               {"stack.blocks.*.feed_forward.up" + end, {layer + "fc1" + end}},
                               {"stack.blocks.*.feed_forward.down" + end, {layer + "fc2" + end}},
                               {"stack.final_norm" + end, {decoder + "final_layer_norm" + end}}});
  return rules;
}

Json config(const Sizes& s) {
  const int64_t width = s.width > 0 ? s.width : 768;
  return {{"model_type", "opt"},
          {"architectures", {"OPTForCausalLM"}},
          {"vocab_size", s.vocab},
          {"max_position_embeddings", s.context > 0 ? s.context : 2048},
          {"hidden_size", width},
          {"word_embed_proj_dim", width},
          {"num_hidden_layers", s.layers > 0 ? s.layers : 12},
          {"num_attention_heads", s.heads > 0 ? s.heads : 12},
          {"ffn_dim", s.feed_forward > 0 ? s.feed_forward : 4 * width},
          {"activation_function", "relu"},
          {"dropout", s.dropout},
          {"attention_dropout", s.dropout},
          {"init_std", 0.02},
          {"tie_word_embeddings", s.tied}};
}

}  // namespace

extern const Family opt{
    .type = "opt",
    .name = "OPT",
    .paper = "Zhang et al. 2022, arXiv 2205.01068",
    .spec = spec,
    .weights = weights,
    .unused = {"lm_head.weight"},
    .base_prefix = "model.",
    .config = config,
};

}  // namespace qkv::families
