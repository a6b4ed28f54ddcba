// GPT-J: both branches in parallel behind one norm, pairs of each head turn. Wang & Komatsuzaki (2021).
#include "qkv/models/family.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  const int64_t width = c.size("n_embd");
  const int64_t heads = c.size("n_head");
  const int64_t head_dim = width % heads == 0 ? width / heads : 0;
  const int64_t positions = c.size("n_positions", 2048);
  const NormSpec norm{NormSpec::Kind::layer, static_cast<float>(c.positive("layer_norm_epsilon", 1e-5)), true};
  const AttentionSpec attention{.heads = heads,
                                .kv_heads = heads,
                                .head_dim = head_dim,
                                .causal = true,
                                .qkv_bias = false,
                                .out_bias = false,
                                .rotary = RotarySpec{.dim = c.size("rotary_dim", head_dim), .interleaved = true},
                                .dropout = c.probability("attn_pdrop", 0)};
  const FeedForwardSpec feed_forward{.width = c.size("n_inner", 4 * width),
                                     .activation = activation_named(c.text("activation_function", "gelu_new"))};
  return {.task = task_of(c),
          .vocab = c.size("vocab_size"),
          .embeddings = {.dropout = c.probability("embd_pdrop", 0)},
          .stack = {.width = width,
                    .layers = c.size("n_layer"),
                    .max_positions = positions,
                    .block = {.residual = Residual::parallel,
                              .norm = norm,
                              .attention = attention,
                              .feed_forward = feed_forward,
                              .dropout = c.probability("resid_pdrop", 0),
                              .shared_norm = true},
                    .final_norm = norm},
          .heads = {.language_model = task_of(c) == Task::causal_lm,
                    .tied = c.flag("tie_word_embeddings", false),
                    .language_model_bias = true},
          .init_std = static_cast<float>(c.positive("initializer_range", 0.02))};
}

std::vector<WeightRule> weights(const Spec&) {
  const std::string layer = "transformer.h.*.";
  std::vector<WeightRule> rules = {
      {"embeddings.token", {"transformer.wte.weight"}},
      {"stack.blocks.*.attention.qkv.weight",
       {layer + "attn.q_proj.weight", layer + "attn.k_proj.weight", layer + "attn.v_proj.weight"}},
      {"stack.blocks.*.attention.out.weight", {layer + "attn.out_proj.weight"}}};
  for (const std::string end : {".weight", ".bias"})
    rules.insert(rules.end(), {{"stack.blocks.*.norm1" + end, {layer + "ln_1" + end}},
                               {"stack.blocks.*.feed_forward.up" + end, {layer + "mlp.fc_in" + end}},
                               {"stack.blocks.*.feed_forward.down" + end, {layer + "mlp.fc_out" + end}},
                               {"stack.final_norm" + end, {"transformer.ln_f" + end}},
                               {"heads.language_model" + end, {"lm_head" + end}}});
  return rules;
}

Json config(const Sizes& s) {
  const int64_t width = s.width > 0 ? s.width : 4096;
  const int64_t heads = s.heads > 0 ? s.heads : 16;
  return {{"model_type", "gptj"},
          {"architectures", {"GPTJForCausalLM"}},
          {"vocab_size", s.vocab},
          {"n_positions", s.context > 0 ? s.context : 2048},
          {"n_embd", width},
          {"n_layer", s.layers > 0 ? s.layers : 28},
          {"n_head", heads},
          {"n_inner", s.feed_forward > 0 ? Json(s.feed_forward) : Json(nullptr)},
          {"rotary_dim", std::max<int64_t>(2, width / heads / 4 / 2 * 2)},
          {"activation_function", "gelu_new"},
          {"resid_pdrop", s.dropout},
          {"embd_pdrop", s.dropout},
          {"attn_pdrop", s.dropout},
          {"layer_norm_epsilon", 1e-5},
          {"initializer_range", 0.02},
          {"tie_word_embeddings", s.tied}};
}

}  // namespace

extern const Family gptj{
    .type = "gptj",
    .name = "GPT-J",
    .paper = "Wang & Komatsuzaki 2021, GPT-J-6B",
    .spec = spec,
    .weights = weights,
    .unused = {"transformer.h.*.attn.bias", "transformer.h.*.attn.masked_bias", "lm_head.weight"},
    .base_prefix = "transformer.",
    .config = config,
};

}  // namespace qkv::families
