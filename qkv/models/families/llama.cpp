// Llama 1 to 3: Touvron et al., arXiv 2302.13971; Llama 3, arXiv 2407.21783.
#include "qkv/models/family.h"
#include "qkv/models/rotary_config.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  const int64_t width = c.size("hidden_size");
  const int64_t heads = c.size("num_attention_heads");
  const int64_t head_dim = c.size("head_dim", width % heads == 0 ? std::max<int64_t>(1, width / heads) : 0);
  const int64_t positions = c.size("max_position_embeddings", 2048);
  const bool attention_bias = c.flag("attention_bias", false);
  const NormSpec norm{NormSpec::Kind::rms, static_cast<float>(c.positive("rms_norm_eps", 1e-6)), false};
  const AttentionSpec attention{.heads = heads,
                                .kv_heads = c.size("num_key_value_heads", heads),
                                .head_dim = head_dim,
                                .causal = true,
                                .qkv_bias = attention_bias,
                                .out_bias = attention_bias,
                                .rotary = rotary_spec(c, head_dim, positions),
                                .dropout = c.probability("attention_dropout", 0)};
  const FeedForwardSpec feed_forward{.width = c.size("intermediate_size"),
                                     .activation = activation_named(c.text("hidden_act", "silu")),
                                     .gated = true,
                                     .bias = c.flag("mlp_bias", false)};
  return {.task = task_of(c),
          .vocab = c.size("vocab_size"),
          .embeddings = {.padding_id = c.integer("pad_token_id", -1, -1, c.size("vocab_size") - 1)},
          .stack = {.width = width,
                    .layers = c.size("num_hidden_layers"),
                    .max_positions = positions,
                    .block = {Residual::pre_norm, norm, attention, feed_forward},
                    .final_norm = true},
          .heads = {.language_model = task_of(c) == Task::causal_lm, .tied = c.flag("tie_word_embeddings", false)},
          .init_std = static_cast<float>(c.positive("initializer_range", 0.02))};
}

std::vector<WeightRule> weights(const Spec&) {
  const std::string layer = "model.layers.*.";
  return {
      {"embeddings.token", {"model.embed_tokens.weight"}},
      {"stack.blocks.*.norm1.weight", {layer + "input_layernorm.weight"}},
      {"stack.blocks.*.attention.qkv.weight",
       {layer + "self_attn.q_proj.weight", layer + "self_attn.k_proj.weight", layer + "self_attn.v_proj.weight"}},
      {"stack.blocks.*.attention.qkv.bias",
       {layer + "self_attn.q_proj.bias", layer + "self_attn.k_proj.bias", layer + "self_attn.v_proj.bias"}},
      {"stack.blocks.*.attention.out.weight", {layer + "self_attn.o_proj.weight"}},
      {"stack.blocks.*.attention.out.bias", {layer + "self_attn.o_proj.bias"}},
      {"stack.blocks.*.norm2.weight", {layer + "post_attention_layernorm.weight"}},
      {"stack.blocks.*.feed_forward.up.weight", {layer + "mlp.gate_proj.weight", layer + "mlp.up_proj.weight"}},
      {"stack.blocks.*.feed_forward.up.bias", {layer + "mlp.gate_proj.bias", layer + "mlp.up_proj.bias"}},
      {"stack.blocks.*.feed_forward.down.weight", {layer + "mlp.down_proj.weight"}},
      {"stack.blocks.*.feed_forward.down.bias", {layer + "mlp.down_proj.bias"}},
      {"stack.final_norm.weight", {"model.norm.weight"}},
      {"heads.language_model.weight", {"lm_head.weight"}},
  };
}

Json config(const Sizes& s) {
  const int64_t width = s.width > 0 ? s.width : 2048;
  const int64_t heads = s.heads > 0 ? s.heads : 32;
  // Two thirds of four times the width, in whole blocks of 64, keeps the size of an ungated feed-forward.
  const int64_t feed_forward = s.feed_forward > 0 ? s.feed_forward : (8 * width / 3 + 63) / 64 * 64;
  return {{"model_type", "llama"},
          {"architectures", {"LlamaForCausalLM"}},
          {"vocab_size", s.vocab},
          {"max_position_embeddings", s.context > 0 ? s.context : 2048},
          {"hidden_size", width},
          {"num_hidden_layers", s.layers > 0 ? s.layers : 22},
          {"num_attention_heads", heads},
          {"num_key_value_heads", s.kv_heads > 0 ? s.kv_heads : heads},
          {"head_dim", width / heads},
          {"intermediate_size", feed_forward},
          {"hidden_act", "silu"},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 10000.0},
          {"attention_bias", false},
          {"mlp_bias", false},
          {"attention_dropout", s.dropout},
          {"initializer_range", 0.02},
          {"tie_word_embeddings", s.tied}};
}

}  // namespace

extern const Family llama{
    .type = "llama",
    .name = "Llama",
    .paper = "Touvron et al. 2023, arXiv 2302.13971",
    .spec = spec,
    .weights = weights,
    .unused = {"model.layers.*.self_attn.rotary_emb.inv_freq", "lm_head.weight"},
    .base_prefix = "model.",
    .config = config,
};

}  // namespace qkv::families
