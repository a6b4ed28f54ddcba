// Switch Transformers: T5 where every few layers' feed-forwards are experts, of which each token uses one. Fedus et
// al., arXiv 2101.03961.
#include "qkv/models/t5_encoder_decoder.h"

#include <cmath>

namespace qkv::families {
namespace {

// Sparse layers stand `layers / sparse` apart, from the second on.
void add_experts(StackSpec& stack, const ExpertsSpec& experts, int64_t sparse) {
  if (sparse == 0) return;
  const int64_t step = stack.layers / sparse;
  stack.vary([&](int64_t i, BlockSpec& block) {
    if (step == 1 || (step > 1 && i % step == 1)) block.experts = experts;
  });
}

Spec spec(const Config& c) {
  Spec spec = t5_encoder_decoder(c);
  if (!spec.encoder || spec.heads.labels > 0)
    c.fail("architectures", "names a head that this family does not have here",
           "ForConditionalGeneration is supported");
  if (spec.heads.tied) spec.heads.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(spec.width())));
  if (c.flag("router_bias", false)) c.fail("router_bias", "is true: routers have no bias here");
  const ExpertsSpec experts{.count = c.size("num_experts", 8),
                            .chosen = 1,
                            .among_all = true,
                            .capacity = c.size("expert_capacity", 64),
                            .balance = static_cast<float>(c.number("router_aux_loss_coef", 0.001)),
                            .by_sequence = true,
                            .jitter = c.probability("router_jitter_noise", 0.01F),
                            .z = static_cast<float>(c.number("router_z_loss_coef", 0.001))};
  add_experts(spec.encoder->stack, experts, c.integer("num_sparse_encoder_layers", 3, 0, spec.encoder->stack.layers));
  add_experts(spec.stack, experts, c.integer("num_sparse_decoder_layers", 3, 0, spec.stack.layers));
  return spec;
}

std::vector<WeightRule> weights(const Spec& spec) {
  std::vector<WeightRule> rules = t5_encoder_decoder_weights(spec, "mlp");
  for (const bool encoder : {true, false}) {
    const ExpertsSpec* experts = (encoder ? spec.encoder->stack : spec.stack).experts();
    const std::string ours = encoder ? "encoder.stack.blocks.*.feed_forward." : "stack.blocks.*.feed_forward.";
    const std::string theirs = encoder ? "encoder.block.*.layer.1.mlp." : "decoder.block.*.layer.2.mlp.";
    rules.push_back({ours + "router.weight", {theirs + "router.classifier.weight"}});
    for (int64_t i = 0; experts != nullptr && i < experts->count; ++i) {
      const std::string one = "experts." + std::to_string(i);
      const std::string other = "experts.expert_" + std::to_string(i);
      rules.push_back({ours + one + ".up.weight", {theirs + other + ".wi.weight"}});
      rules.push_back({ours + one + ".down.weight", {theirs + other + ".wo.weight"}});
    }
  }
  return rules;
}

Json config(const Sizes& s) {
  Json json = t5_encoder_decoder_config(s, "switch_transformers", "SwitchTransformersForConditionalGeneration");
  json["num_experts"] = 8;
  json["expert_capacity"] = 64;
  json["num_sparse_encoder_layers"] = s.layers > 1 ? s.layers / 2 : 1;
  json["num_sparse_decoder_layers"] = json["num_sparse_encoder_layers"];
  return json;
}

}  // namespace

extern const Family switch_transformers{
    .type = "switch_transformers",
    .name = "Switch Transformers",
    .paper = "Fedus et al. 2021, arXiv 2101.03961",
    .spec = spec,
    .weights = weights,
    .unused = t5_encoder_decoder_unused(),
    .base_prefix = "",
    .config = config,
};

}  // namespace qkv::families
