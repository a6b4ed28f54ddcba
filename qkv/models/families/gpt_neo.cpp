// GPT-Neo: GPT-2 with unscaled scores and every second layer local. Black et al. (2021).
#include "qkv/models/family.h"

namespace qkv::families {
namespace {

// "attention_layers", or "attention_types": [[["global", "local"], 12]], which repeats.
std::vector<std::string> layer_kinds(const Config& c, int64_t layers) {
  std::vector<std::string> kinds;
  const auto take = [&](const Json& list) {
    if (!list.is_array()) c.fail("attention_types", "must be lists of \"global\" and \"local\"");
    for (const Json& kind : list) kinds.push_back(kind.is_string() ? kind.get<std::string>() : "");
  };
  if (c.has("attention_layers")) {
    take(c.json()["attention_layers"]);
  } else if (c.has("attention_types")) {
    for (const Json& group : c.json()["attention_types"]) {
      if (!group.is_array() || group.size() != 2 || !group[1].is_number_unsigned() || group[1] > layers)
        c.fail("attention_types", "must be a list of [kinds, repeats]");
      for (int64_t i = 0; i < group[1].get<int64_t>(); ++i) take(group[0]);
    }
  } else {
    for (int64_t i = 0; i < layers; ++i) kinds.emplace_back(i % 2 == 0 ? "global" : "local");
  }
  if (static_cast<int64_t>(kinds.size()) != layers) c.fail("attention_types", "must name each layer's kind");
  return kinds;
}

Spec spec(const Config& c) {
  const int64_t width = c.size("hidden_size");
  const int64_t heads = c.size("num_heads");
  const int64_t positions = c.size("max_position_embeddings", 2048);
  const NormSpec norm{NormSpec::Kind::layer, static_cast<float>(c.positive("layer_norm_epsilon", 1e-5)), true};
  const AttentionSpec attention{.heads = heads,
                                .kv_heads = heads,
                                .head_dim = width % heads == 0 ? width / heads : 0,
                                .causal = true,
                                .qkv_bias = false,
                                .scale = 1,
                                .dropout = c.probability("attention_dropout", 0)};
  const FeedForwardSpec feed_forward{.width = c.size("intermediate_size", 4 * width),
                                     .activation = activation_named(c.text("activation_function", "gelu_new"))};
  Spec spec{.task = task_of(c),
            .vocab = c.size("vocab_size"),
            .embeddings = {.positions = positions, .dropout = c.probability("embed_dropout", 0)},
            .stack = {.width = width,
                      .layers = c.size("num_layers"),
                      .max_positions = positions,
                      .block = {Residual::pre_norm, norm, attention, feed_forward, c.probability("resid_dropout", 0)},
                      .final_norm = norm},
            .heads = {.language_model = task_of(c) == Task::causal_lm, .tied = c.flag("tie_word_embeddings", true)},
            .init_std = static_cast<float>(c.positive("initializer_range", 0.02))};
  const std::vector<std::string> kinds = layer_kinds(c, spec.layers());
  const int64_t window = c.size("window_size", 256);
  spec.stack.vary([&](int64_t i, BlockSpec& block) {
    block.attention.window = kinds[static_cast<size_t>(i)] == "local" ? window : 0;
  });
  return spec;
}

std::vector<WeightRule> weights(const Spec&) {
  const std::string layer = "transformer.h.*.";
  const std::string self = layer + "attn.attention.";
  std::vector<WeightRule> rules = {
      {"embeddings.token", {"transformer.wte.weight"}},
      {"embeddings.position", {"transformer.wpe.weight"}},
      {"stack.blocks.*.attention.qkv.weight", {self + "q_proj.weight", self + "k_proj.weight", self + "v_proj.weight"}},
      {"heads.language_model.weight", {"lm_head.weight"}}};
  for (const std::string end : {".weight", ".bias"})
    rules.insert(rules.end(), {{"stack.blocks.*.attention.out" + end, {self + "out_proj" + end}},
                               {"stack.blocks.*.norm1" + end, {layer + "ln_1" + end}},
                               {"stack.blocks.*.norm2" + end, {layer + "ln_2" + end}},
                               {"stack.blocks.*.feed_forward.up" + end, {layer + "mlp.c_fc" + end}},
                               {"stack.blocks.*.feed_forward.down" + end, {layer + "mlp.c_proj" + end}},
                               {"stack.final_norm" + end, {"transformer.ln_f" + end}}});
  return rules;
}

Json config(const Sizes& s) {
  return {{"model_type", "gpt_neo"},
          {"architectures", {"GPTNeoForCausalLM"}},
          {"vocab_size", s.vocab},
          {"max_position_embeddings", s.context > 0 ? s.context : 2048},
          {"hidden_size", s.width > 0 ? s.width : 768},
          {"num_layers", s.layers > 0 ? s.layers : 12},
          {"num_heads", s.heads > 0 ? s.heads : 12},
          {"intermediate_size", s.feed_forward > 0 ? Json(s.feed_forward) : Json(nullptr)},
          {"window_size", 256},
          {"embed_dropout", s.dropout},
          {"resid_dropout", s.dropout},
          {"attention_dropout", s.dropout},
          {"tie_word_embeddings", s.tied}};
}

}  // namespace

extern const Family gpt_neo{
    .type = "gpt_neo",
    .name = "GPT-Neo",
    .paper = "Black et al. 2021, GPT-Neo",
    .spec = spec,
    .weights = weights,
    .unused = {"transformer.h.*.attn.attention.bias", "transformer.h.*.attn.attention.masked_bias", "lm_head.weight"},
    .base_prefix = "transformer.",
    .config = config,
};

}  // namespace qkv::families
