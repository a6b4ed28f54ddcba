// GPT: Radford et al., "Improving language understanding by generative pre-training" (2018).
#include "qkv/models/family.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  const int64_t width = c.size("n_embd");
  const int64_t heads = c.size("n_head");
  const int64_t positions = c.size("n_positions", 512);
  // This family's "gelu" is the approximation by tanh.
  const std::string activation = c.text("afn", "gelu");
  const NormSpec norm{NormSpec::Kind::layer, static_cast<float>(c.positive("layer_norm_epsilon", 1e-5)), true};
  const AttentionSpec attention{.heads = heads,
                                .kv_heads = heads,
                                .head_dim = width % heads == 0 ? width / heads : 0,
                                .causal = true,
                                .dropout = c.probability("attn_pdrop", 0.1F)};
  const FeedForwardSpec feed_forward{
      .width = 4 * width, .activation = activation == "gelu" ? Activation::gelu_tanh : activation_named(activation)};
  return {.task = task_of(c),
          .vocab = c.size("vocab_size"),
          .embeddings = {.positions = positions, .dropout = c.probability("embd_pdrop", 0.1F)},
          .stack = {.width = width,
                    .layers = c.size("n_layer"),
                    .max_positions = positions,
                    .block = {Residual::post_norm, norm, attention, feed_forward, c.probability("resid_pdrop", 0.1F)}},
          .heads = {.language_model = task_of(c) == Task::causal_lm, .tied = c.flag("tie_word_embeddings", true)},
          .init_std = static_cast<float>(c.positive("initializer_range", 0.02))};
}

std::vector<WeightRule> weights(const Spec&) {
  constexpr auto same = WeightRule::Layout::same;
  constexpr auto transposed = WeightRule::Layout::transposed;
  const std::string layer = "transformer.h.*.";
  std::vector<WeightRule> rules = {{"embeddings.token", {"transformer.tokens_embed.weight"}},
                                   {"embeddings.position", {"transformer.positions_embed.weight"}},
                                   {"heads.language_model.weight", {"lm_head.weight"}}};
  for (const std::string end : {".weight", ".bias"}) {
    const auto layout = end == ".weight" ? transposed : same;
    rules.insert(rules.end(), {{"stack.blocks.*.attention.qkv" + end, {layer + "attn.c_attn" + end}, layout},
                               {"stack.blocks.*.attention.out" + end, {layer + "attn.c_proj" + end}, layout},
                               {"stack.blocks.*.norm1" + end, {layer + "ln_1" + end}},
                               {"stack.blocks.*.norm2" + end, {layer + "ln_2" + end}},
                               {"stack.blocks.*.feed_forward.up" + end, {layer + "mlp.c_fc" + end}, layout},
                               {"stack.blocks.*.feed_forward.down" + end, {layer + "mlp.c_proj" + end}, layout}});
  }
  return rules;
}

Json config(const Sizes& s) {
  return {{"model_type", "openai-gpt"},
          {"architectures", {"OpenAIGPTLMHeadModel"}},
          {"vocab_size", s.vocab},
          {"n_positions", s.context > 0 ? s.context : 512},
          {"n_embd", s.width > 0 ? s.width : 768},
          {"n_layer", s.layers > 0 ? s.layers : 12},
          {"n_head", s.heads > 0 ? s.heads : 12},
          {"afn", "gelu"},
          {"resid_pdrop", s.dropout},
          {"embd_pdrop", s.dropout},
          {"attn_pdrop", s.dropout},
          {"layer_norm_epsilon", 1e-5},
          {"initializer_range", 0.02},
          {"tie_word_embeddings", s.tied}};
}

}  // namespace

extern const Family openai_gpt{
    .type = "openai-gpt",
    .name = "GPT",
    .paper = "Radford et al. 2018, Improving language understanding by generative pre-training",
    .spec = spec,
    .weights = weights,
    .unused = {"transformer.h.*.attn.bias", "transformer.position_ids", "lm_head.weight"},
    .base_prefix = "transformer.",
    .config = config,
};

}  // namespace qkv::families
