// ModernBERT: pre-norm, rotary positions, most layers local, gated. Warner et al., arXiv 2412.13663.
#include "qkv/models/family.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  const int64_t width = c.size("hidden_size");
  const int64_t heads = c.size("num_attention_heads");
  const int64_t head_dim = width % heads == 0 ? width / heads : 0;
  const int64_t positions = c.size("max_position_embeddings", 8192);
  const bool bias = c.flag("attention_bias", false);
  const Task task = task_of(c);
  if (task != Task::masked_lm && task != Task::features)
    c.fail("architectures", "names a head that this family does not have yet", "ModernBertForMaskedLM");
  const NormSpec norm{NormSpec::Kind::layer, static_cast<float>(c.positive("norm_eps", 1e-5)),
                      c.flag("norm_bias", false)};
  const AttentionSpec attention{.heads = heads,
                                .kv_heads = heads,
                                .head_dim = head_dim,
                                .qkv_bias = bias,
                                .out_bias = bias,
                                .dropout = c.probability("attention_dropout", 0)};
  const FeedForwardSpec feed_forward{.width = c.size("intermediate_size"),
                                     .activation = activation_named(c.text("hidden_activation", "gelu")),
                                     .gated = true,
                                     .bias = c.flag("mlp_bias", false)};
  Spec spec{.task = task,
            .vocab = c.size("vocab_size"),
            .embeddings = {.norm = norm,
                           .dropout = c.probability("embedding_dropout", 0),
                           .padding_id = c.integer("pad_token_id", -1, -1, c.size("vocab_size") - 1)},
            .stack = {.width = width,
                      .layers = c.size("num_hidden_layers"),
                      .max_positions = positions,
                      .block = {Residual::pre_norm, norm, attention, feed_forward, c.probability("mlp_dropout", 0)},
                      .final_norm = norm},
            .heads = {.language_model = task == Task::masked_lm, .tied = c.flag("tie_word_embeddings", true)},
            .init_std = static_cast<float>(c.positive("initializer_range", 0.02))};
  if (task == Task::masked_lm) {
    spec.heads.language_model_bias = c.flag("decoder_bias", true);
    spec.heads.transform = activation_named(c.text("classifier_activation", "gelu"));
    spec.heads.transform_bias = c.flag("classifier_bias", false);
    spec.heads.transform_norm = norm;
  }
  // "local_attention" counts both sides; every n-th layer sees everything, with slower rotation.
  const int64_t every = c.size("global_attn_every_n_layers", 3);
  const int64_t window = c.size("local_attention", 128) / 2 + 1;
  const Config kinds = c.object("rope_parameters");
  const double global = kinds.object("full_attention").positive("rope_theta", c.positive("global_rope_theta", 160000));
  const double local = kinds.object("sliding_attention").positive("rope_theta", c.positive("local_rope_theta", 10000));
  spec.stack.vary([&](int64_t i, BlockSpec& block) {
    const bool all = i % every == 0;
    block.first_norm = i > 0;
    block.attention.window = all ? 0 : window;
    block.attention.rotary = RotarySpec{.dim = head_dim, .base = all ? global : local};
  });
  return spec;
}

std::vector<WeightRule> weights(const Spec&) {
  const std::string layer = "model.layers.*.";
  std::vector<WeightRule> rules = {{"embeddings.token", {"model.embeddings.tok_embeddings.weight"}}};
  for (const std::string end : {".weight", ".bias"})
    rules.insert(rules.end(), {{"embeddings.norm" + end, {"model.embeddings.norm" + end}},
                               {"stack.blocks.*.norm1" + end, {layer + "attn_norm" + end}},
                               {"stack.blocks.*.attention.qkv" + end, {layer + "attn.Wqkv" + end}},
                               {"stack.blocks.*.attention.out" + end, {layer + "attn.Wo" + end}},
                               {"stack.blocks.*.norm2" + end, {layer + "mlp_norm" + end}},
                               {"stack.blocks.*.feed_forward.up" + end, {layer + "mlp.Wi" + end}},
                               {"stack.blocks.*.feed_forward.down" + end, {layer + "mlp.Wo" + end}},
                               {"stack.final_norm" + end, {"model.final_norm" + end}},
                               {"heads.transform" + end, {"head.dense" + end}},
                               {"heads.transform_norm" + end, {"head.norm" + end}},
                               {"heads.language_model" + end, {"decoder" + end}}});
  return rules;
}

Json config(const Sizes& s) {
  const int64_t width = s.width > 0 ? s.width : 768;
  return {{"model_type", "modernbert"},
          {"architectures", {"ModernBertForMaskedLM"}},
          {"vocab_size", s.vocab},
          {"max_position_embeddings", s.context > 0 ? s.context : 8192},
          {"hidden_size", width},
          {"num_hidden_layers", s.layers > 0 ? s.layers : 22},
          {"num_attention_heads", s.heads > 0 ? s.heads : 12},
          {"intermediate_size", s.feed_forward > 0 ? s.feed_forward : 3 * width / 2},
          {"embedding_dropout", s.dropout},
          {"attention_dropout", s.dropout},
          {"mlp_dropout", s.dropout},
          {"tie_word_embeddings", s.tied}};
}

}  // namespace

extern const Family modernbert{
    .type = "modernbert",
    .name = "ModernBERT",
    .paper = "Warner et al. 2024, arXiv 2412.13663",
    .spec = spec,
    .weights = weights,
    .unused = {"decoder.weight"},
    .base_prefix = "model.",
    .config = config,
};

}  // namespace qkv::families
