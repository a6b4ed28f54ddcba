// Longformer: RoBERTa for long texts, with attention by windows and a few global tokens. Beltagy et al., arXiv
// 2004.05150.
#include "qkv/models/roberta_encoder.h"

namespace qkv::families {
namespace {

// "attention_window": one number, or one a layer; it counts both sides.
std::vector<int64_t> windows(const Config& c, int64_t layers) {
  const Json value = c.has("attention_window") ? c.json()["attention_window"] : Json(512);
  std::vector<int64_t> result;
  for (const Json& one : value.is_array() ? value : Json::array({value})) {
    if (!one.is_number_integer() || one < 2 || one > (1 << 30) || one.get<int64_t>() % 2 != 0)
      c.fail("attention_window", "must be even numbers above zero");
    result.push_back(one.get<int64_t>());
  }
  if (value.is_array() && std::ssize(result) != layers)
    c.fail("attention_window", "must be one number, or one for each layer");
  return result;
}

Spec spec(const Config& c) {
  Spec spec = roberta_encoder(c);
  if (spec.task == Task::pretraining)
    c.fail("architectures", "names a head that this family does not have yet", "LongformerForMaskedLM");
  spec.stack.block.attention.global = true;
  if (spec.task == Task::sequence_classification) spec.global_tokens = Spec::GlobalTokens::first;
  if (spec.task == Task::question_answering || spec.task == Task::multiple_choice) {
    spec.global_tokens = spec.task == Task::question_answering ? Spec::GlobalTokens::before_separator
                                                               : Spec::GlobalTokens::behind_separators;
    spec.separator_id = c.integer("sep_token_id", 2, 0, spec.vocab - 1);
  }
  const std::vector<int64_t> sizes = windows(c, spec.layers());
  spec.stack.vary([&](int64_t i, BlockSpec& block) {
    block.attention.window = sizes[std::min(static_cast<size_t>(i), sizes.size() - 1)] / 2 + 1;
  });
  return spec;
}

std::vector<WeightRule> weights(const Spec& spec) {
  std::vector<WeightRule> rules = roberta_encoder_weights(spec, "longformer.");
  const std::string self = "longformer.encoder.layer.*.attention.self.", ours = "stack.blocks.*.attention.global.";
  for (const std::string end : {".weight", ".bias"})
    rules.insert(rules.end(), {{ours + "query" + end, {self + "query_global" + end}},
                               {ours + "key_value" + end, {self + "key_global" + end, self + "value_global" + end}}});
  return rules;
}

Json config(const Sizes& s) {
  Json json = roberta_encoder_config(s, "longformer", "LongformerForMaskedLM");
  json["max_position_embeddings"] = (s.context > 0 ? s.context : 4096) + 2;
  json["attention_window"] = 512;
  return json;
}

}  // namespace

extern const Family longformer{
    .type = "longformer",
    .name = "Longformer",
    .paper = "Beltagy et al. 2020, arXiv 2004.05150",
    .spec = spec,
    .weights = weights,
    .unused = roberta_encoder_unused("longformer."),
    .base_prefix = "longformer.",
    .config = config,
};

}  // namespace qkv::families
