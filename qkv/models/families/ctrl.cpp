// CTRL: Keskar et al., arXiv 1909.05858.
#include "qkv/models/family.h"

#include <cmath>

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  const int64_t width = c.size("n_embd");
  const int64_t heads = c.size("n_head");
  const int64_t positions = c.size("n_positions", 256);
  const NormSpec norm{NormSpec::Kind::layer, 1e-6F, true};
  const AttentionSpec attention{
      .heads = heads, .kv_heads = heads, .head_dim = width % heads == 0 ? width / heads : 0, .causal = true};
  const FeedForwardSpec feed_forward{.width = c.size("dff"), .activation = Activation::relu};
  return {.task = task_of(c),
          .vocab = c.size("vocab_size"),
          .embeddings = {.scale = std::sqrt(static_cast<float>(width)),
                         .positions = positions,
                         .position_kind = EmbeddingsSpec::Positions::sinusoidal,
                         .dropout = c.probability("embd_pdrop", 0.1F)},
          .stack = {.width = width,
                    .layers = c.size("n_layer"),
                    .max_positions = positions,
                    .block = {Residual::pre_norm, norm, attention, feed_forward, c.probability("resid_pdrop", 0.1F)},
                    .final_norm = NormSpec{NormSpec::Kind::layer,
                                           static_cast<float>(c.positive("layer_norm_epsilon", 1e-6)), true}},
          .heads = {.language_model = task_of(c) == Task::causal_lm,
                    .tied = c.flag("tie_word_embeddings", true),
                    .language_model_bias = true},
          .init_std = static_cast<float>(c.positive("initializer_range", 0.02))};
}

std::vector<WeightRule> weights(const Spec&) {
  const std::string layer = "transformer.h.*.";
  const std::string self = layer + "multi_head_attention.";
  std::vector<WeightRule> rules = {{"embeddings.token", {"transformer.w.weight"}}};
  for (const std::string end : {".weight", ".bias"})
    rules.insert(rules.end(),
                 {{"stack.blocks.*.attention.qkv" + end, {self + "Wq" + end, self + "Wk" + end, self + "Wv" + end}},
                  {"stack.blocks.*.attention.out" + end, {self + "dense" + end}},
                  {"stack.blocks.*.norm1" + end, {layer + "layernorm1" + end}},
                  {"stack.blocks.*.norm2" + end, {layer + "layernorm2" + end}},
                  {"stack.blocks.*.feed_forward.up" + end, {layer + "ffn.0" + end}},
                  {"stack.blocks.*.feed_forward.down" + end, {layer + "ffn.2" + end}},
                  {"stack.final_norm" + end, {"transformer.layernorm" + end}},
                  {"heads.language_model" + end, {"lm_head" + end}}});
  return rules;
}

Json config(const Sizes& s) {
  const int64_t width = s.width > 0 ? s.width : 1280;
  return {{"model_type", "ctrl"},
          {"architectures", {"CTRLLMHeadModel"}},
          {"vocab_size", s.vocab},
          {"n_positions", s.context > 0 ? s.context : 256},
          {"n_embd", width},
          {"n_layer", s.layers > 0 ? s.layers : 48},
          {"n_head", s.heads > 0 ? s.heads : 16},
          {"dff", s.feed_forward > 0 ? s.feed_forward : 4 * width},
          {"resid_pdrop", s.dropout},
          {"embd_pdrop", s.dropout},
          {"layer_norm_epsilon", 1e-6},
          {"tie_word_embeddings", s.tied}};
}

}  // namespace

extern const Family ctrl{
    .type = "ctrl",
    .name = "CTRL",
    .paper = "Keskar et al. 2019, arXiv 1909.05858",
    .spec = spec,
    .weights = weights,
    .unused = {"transformer.pos_encoding", "lm_head.weight"},
    .base_prefix = "transformer.",
    .config = config,
    .sequence_head = "classifier",
};

}  // namespace qkv::families
