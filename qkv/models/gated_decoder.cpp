#include "qkv/models/gated_decoder.h"

#include "qkv/models/rotary_config.h"

namespace qkv {

Spec gated_decoder(const Config& c) {
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
                    .final_norm = norm},
          .heads = {.language_model = task_of(c) == Task::causal_lm, .tied = c.flag("tie_word_embeddings", false)},
          .init_std = static_cast<float>(c.positive("initializer_range", 0.02))};
}

std::vector<WeightRule> gated_decoder_weights(const Spec&) {
  const std::string ours = "stack.blocks.*.";
  const std::string theirs = "model.layers.*.";
  const std::string self = theirs + "self_attn.";
  std::vector<WeightRule> rules = {
      {"embeddings.token", {"model.embed_tokens.weight"}},
      {ours + "norm1.weight", {theirs + "input_layernorm.weight"}},
      {ours + "norm2.weight", {theirs + "post_attention_layernorm.weight"}},
      {ours + "attention.q_norm.weight", {self + "q_norm.weight"}},
      {ours + "attention.k_norm.weight", {self + "k_norm.weight"}},
      {"stack.final_norm.weight", {"model.norm.weight"}},
      {"heads.language_model.weight", {"lm_head.weight"}},
  };
  for (const std::string end : {".weight", ".bias"}) {
    rules.push_back(
        {ours + "attention.qkv" + end, {self + "q_proj" + end, self + "k_proj" + end, self + "v_proj" + end}});
    rules.push_back({ours + "attention.out" + end, {self + "o_proj" + end}});
    rules.push_back({ours + "feed_forward.up" + end, {theirs + "mlp.gate_proj" + end, theirs + "mlp.up_proj" + end}});
    rules.push_back({ours + "feed_forward.down" + end, {theirs + "mlp.down_proj" + end}});
  }
  return rules;
}

std::vector<std::string> gated_decoder_unused() {
  return {"model.layers.*.self_attn.rotary_emb.inv_freq", "lm_head.weight"};
}

Json gated_decoder_config(const Sizes& s, const char* type, const char* architecture) {
  const int64_t width = s.width > 0 ? s.width : 2048;
  const int64_t heads = s.heads > 0 ? s.heads : 32;
  // Two thirds of four times the width, in whole blocks of 64, keeps the size of an ungated feed-forward.
  const int64_t feed_forward = s.feed_forward > 0 ? s.feed_forward : (8 * width / 3 + 63) / 64 * 64;
  return {{"model_type", type},           {"architectures", {architecture}},
          {"vocab_size", s.vocab},        {"max_position_embeddings", s.context > 0 ? s.context : 2048},
          {"hidden_size", width},         {"num_hidden_layers", s.layers > 0 ? s.layers : 22},
          {"num_attention_heads", heads}, {"num_key_value_heads", s.kv_heads > 0 ? s.kv_heads : heads},
          {"head_dim", width / heads},    {"intermediate_size", feed_forward},
          {"hidden_act", "silu"},         {"rms_norm_eps", 1e-5},
          {"rope_theta", 10000.0},        {"attention_dropout", s.dropout},
          {"initializer_range", 0.02},    {"tie_word_embeddings", s.tied}};
}

void set_windows(const Config& config, StackSpec& stack, int64_t window, int64_t full) {
  const Json types = config.has("layer_types") ? config.json()["layer_types"] : Json::array();
  if (config.has("layer_types") && (!types.is_array() || static_cast<int64_t>(types.size()) != stack.layers))
    config.fail("layer_types", "must be a list with an entry for each layer");
  stack.vary([&](int64_t i, BlockSpec& block) {
    const bool slide = types.empty() ? i >= full : types[static_cast<size_t>(i)] == "sliding_attention";
    block.attention.window = slide ? window : 0;
  });
}

}  // namespace qkv
