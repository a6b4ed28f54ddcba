// GLM-4: half of each head turns, in pairs; queries, keys and values have biases. GLM team, arXiv 2406.12793.
#include "qkv/models/gated_decoder.h"
#include "qkv/models/rotary_config.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  Spec spec = gated_decoder(c);
  AttentionSpec& attention = spec.stack.block.attention;
  attention.out_bias = false;
  attention.rotary = rotary_spec(c, attention.head_dim, spec.max_positions(), 0.5);
  attention.rotary->interleaved = true;
  return spec;
}

std::vector<WeightRule> weights(const Spec& spec) {
  std::vector<WeightRule> rules = gated_decoder_weights(spec);
  for (WeightRule& rule : rules)
    if (rule.ours == "stack.blocks.*.feed_forward.up.weight") rule.theirs = {"model.layers.*.mlp.gate_up_proj.weight"};
  return rules;
}

Json config(const Sizes& s) {
  Json json = gated_decoder_config(s, "glm", "GlmForCausalLM");
  json["attention_bias"] = true;
  json["partial_rotary_factor"] = 0.5;
  return json;
}

}  // namespace

extern const Family glm{
    .type = "glm",
    .name = "GLM-4",
    .paper = "GLM team 2024, arXiv 2406.12793",
    .spec = spec,
    .weights = weights,
    .unused = gated_decoder_unused(),
    .base_prefix = "model.",
    .config = config,
    .token_head = "score",
};

}  // namespace qkv::families
