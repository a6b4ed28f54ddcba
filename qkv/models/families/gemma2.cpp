// Gemma 2: norms before and after each branch, capped scores and logits, every second layer local.
// Gemma team, arXiv 2408.00118.
#include "qkv/models/gated_decoder.h"

#include <cmath>

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  Spec spec = gated_decoder(c);
  spec.embeddings.scale = std::sqrt(static_cast<float>(spec.width()));
  BlockSpec& block = spec.stack.block;
  block.branch_norm = block.norm;
  block.feed_forward.activation = activation_named(c.text("hidden_activation", "gelu_pytorch_tanh"));
  block.attention.scale = static_cast<float>(1 / std::sqrt(c.positive("query_pre_attn_scalar", 256)));
  block.attention.softcap = static_cast<float>(c.number("attn_logit_softcapping", 0));
  spec.heads.logit_softcap = static_cast<float>(c.number("final_logit_softcapping", 0));
  spec.heads.tied = c.flag("tie_word_embeddings", true);
  const int64_t window = c.size("sliding_window", 4096);
  if (c.has("layer_types")) {
    set_windows(c, spec.stack, window, 0);
  } else {
    spec.stack.vary([&](int64_t i, BlockSpec& layer) { layer.attention.window = i % 2 == 0 ? window : 0; });
  }
  return spec;
}

std::vector<WeightRule> weights(const Spec& spec) {
  const std::string ours = "stack.blocks.*.";
  const std::string theirs = "model.layers.*.";
  std::vector<WeightRule> rules = gated_decoder_weights(spec);
  for (WeightRule& rule : rules)
    if (rule.ours == ours + "norm2.weight") rule.theirs = {theirs + "pre_feedforward_layernorm.weight"};
  rules.push_back({ours + "attention_norm.weight", {theirs + "post_attention_layernorm.weight"}});
  rules.push_back({ours + "feed_forward_norm.weight", {theirs + "post_feedforward_layernorm.weight"}});
  for (WeightRule& rule : rules)
    if (rule.ours.find("norm") != std::string::npos) rule.layout = WeightRule::Layout::minus_one;
  return rules;
}

Json config(const Sizes& s) {
  Json json = gated_decoder_config(s, "gemma2", "Gemma2ForCausalLM");
  json.erase("hidden_act");
  json["hidden_activation"] = "gelu_pytorch_tanh";
  json["query_pre_attn_scalar"] = json["head_dim"];
  json["attn_logit_softcapping"] = 50.0;
  json["final_logit_softcapping"] = 30.0;
  json["sliding_window"] = 4096;
  return json;
}

}  // namespace

extern const Family gemma2{
    .type = "gemma2",
    .name = "Gemma 2",
    .paper = "Gemma team 2024, arXiv 2408.00118",
    .spec = spec,
    .weights = weights,
    .unused = gated_decoder_unused(),
    .base_prefix = "model.",
    .config = config,
    .token_head = "score",
};

}  // namespace qkv::families
