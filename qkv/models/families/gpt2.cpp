// GPT-2: Radford et al., "Language models are unsupervised multitask learners" (2019).
#include "qkv/models/family.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  const int64_t width = c.size("n_embd");
  const int64_t heads = c.size("n_head");
  const int64_t positions = c.has("n_positions") ? c.size("n_positions") : c.size("n_ctx", 1024);
  const NormSpec norm{NormSpec::Kind::layer, static_cast<float>(c.positive("layer_norm_epsilon", 1e-5)), true};
  const AttentionSpec attention{.heads = heads,
                                .kv_heads = heads,
                                .head_dim = width % heads == 0 ? width / heads : 0,
                                .causal = true,
                                .scale = c.flag("scale_attn_weights", true) ? 0.0F : 1.0F,
                                .scale_by_inverse_layer = c.flag("scale_attn_by_inverse_layer_idx", false),
                                .dropout = c.probability("attn_pdrop", 0.1F)};
  const FeedForwardSpec feed_forward{.width = c.size("n_inner", 4 * width),
                                     .activation = activation_named(c.text("activation_function", "gelu_new"))};
  return {.task = task_of(c),
          .vocab = c.size("vocab_size"),
          .embeddings = {.positions = positions, .dropout = c.probability("embd_pdrop", 0.1F)},
          .stack = {.width = width,
                    .layers = c.size("n_layer"),
                    .max_positions = positions,
                    .block = {Residual::pre_norm, norm, attention, feed_forward, c.probability("resid_pdrop", 0.1F)},
                    .final_norm = norm},
          .heads = {.language_model = task_of(c) == Task::causal_lm, .tied = c.flag("tie_word_embeddings", true)},
          .init_std = static_cast<float>(c.positive("initializer_range", 0.02)),
          .scale_residual_init = true};
}

std::vector<WeightRule> weights(const Spec&) {
  constexpr auto transposed = WeightRule::Layout::transposed;
  return {
      {"embeddings.token", {"transformer.wte.weight"}},
      {"embeddings.position", {"transformer.wpe.weight"}},
      {"stack.blocks.*.norm1.weight", {"transformer.h.*.ln_1.weight"}},
      {"stack.blocks.*.norm1.bias", {"transformer.h.*.ln_1.bias"}},
      {"stack.blocks.*.attention.qkv.weight", {"transformer.h.*.attn.c_attn.weight"}, transposed},
      {"stack.blocks.*.attention.qkv.bias", {"transformer.h.*.attn.c_attn.bias"}},
      {"stack.blocks.*.attention.out.weight", {"transformer.h.*.attn.c_proj.weight"}, transposed},
      {"stack.blocks.*.attention.out.bias", {"transformer.h.*.attn.c_proj.bias"}},
      {"stack.blocks.*.norm2.weight", {"transformer.h.*.ln_2.weight"}},
      {"stack.blocks.*.norm2.bias", {"transformer.h.*.ln_2.bias"}},
      {"stack.blocks.*.feed_forward.up.weight", {"transformer.h.*.mlp.c_fc.weight"}, transposed},
      {"stack.blocks.*.feed_forward.up.bias", {"transformer.h.*.mlp.c_fc.bias"}},
      {"stack.blocks.*.feed_forward.down.weight", {"transformer.h.*.mlp.c_proj.weight"}, transposed},
      {"stack.blocks.*.feed_forward.down.bias", {"transformer.h.*.mlp.c_proj.bias"}},
      {"stack.final_norm.weight", {"transformer.ln_f.weight"}},
      {"stack.final_norm.bias", {"transformer.ln_f.bias"}},
      {"heads.language_model.weight", {"lm_head.weight"}},
  };
}

Json config(const Sizes& s) {
  const int64_t width = s.width > 0 ? s.width : 768;
  return {{"model_type", "gpt2"},
          {"architectures", {"GPT2LMHeadModel"}},
          {"vocab_size", s.vocab},
          {"n_positions", s.context > 0 ? s.context : 1024},
          {"n_embd", width},
          {"n_layer", s.layers > 0 ? s.layers : 12},
          {"n_head", s.heads > 0 ? s.heads : 12},
          {"n_inner", s.feed_forward > 0 ? Json(s.feed_forward) : Json(nullptr)},
          {"activation_function", "gelu_new"},
          {"resid_pdrop", s.dropout},
          {"embd_pdrop", s.dropout},
          {"attn_pdrop", s.dropout},
          {"layer_norm_epsilon", 1e-5},
          {"initializer_range", 0.02},
          {"tie_word_embeddings", s.tied}};
}

}  // namespace

extern const Family gpt2{
    .type = "gpt2",
    .name = "GPT-2",
    .paper = "Radford et al. 2019, Language models are unsupervised multitask learners",
    .spec = spec,
    .weights = weights,
    .unused = {"transformer.h.*.attn.bias", "transformer.h.*.attn.masked_bias", "lm_head.weight"},
    .base_prefix = "transformer.",
    .config = config,
};

}  // namespace qkv::families
