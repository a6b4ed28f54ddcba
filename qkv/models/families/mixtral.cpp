// Mixtral: Mistral with experts for the feed-forward. Jiang et al., arXiv 2401.04088.
#include "qkv/models/gated_decoder.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  Spec spec = gated_decoder(c);
  if (c.has("sliding_window")) spec.stack.block.attention.window = c.size("sliding_window");
  spec.stack.block.experts = ExpertsSpec{.count = c.size("num_local_experts", 8),
                                         .chosen = c.size("num_experts_per_tok", 2),
                                         .balance = static_cast<float>(c.number("router_aux_loss_coef", 0.001))};
  return spec;
}

std::vector<WeightRule> weights(const Spec& spec) {
  std::vector<WeightRule> rules = gated_decoder_weights(spec);
  const std::string ours = "stack.blocks.*.feed_forward.";
  const std::string theirs = "model.layers.*.block_sparse_moe.";
  rules.push_back({ours + "router.weight", {theirs + "gate.weight"}});
  for (int64_t i = 0; i < spec.stack.block.experts->count; ++i) {
    const std::string expert = "experts." + std::to_string(i);
    rules.push_back({ours + expert + ".up.weight", {theirs + expert + ".w1.weight", theirs + expert + ".w3.weight"}});
    rules.push_back({ours + expert + ".down.weight", {theirs + expert + ".w2.weight"}});
  }
  return rules;
}

Json config(const Sizes& s) {
  Json json = gated_decoder_config(s, "mixtral", "MixtralForCausalLM");
  json["sliding_window"] = nullptr;
  json["num_local_experts"] = 8;
  json["num_experts_per_tok"] = 2;
  json["router_aux_loss_coef"] = 0.02;
  return json;
}

}  // namespace

extern const Family mixtral{
    .type = "mixtral",
    .name = "Mixtral",
    .paper = "Jiang et al. 2024, arXiv 2401.04088",
    .spec = spec,
    .weights = weights,
    .unused = gated_decoder_unused(),
    .base_prefix = "model.",
    .config = config,
    .token_head = "score",
};

}  // namespace qkv::families
