// Longformer: RoBERTa for long texts, with attention by windows and a few global tokens. Beltagy et al., arXiv
// 2004.05150.
#include "qkv/models/bert_encoder.h"

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
  Spec spec = bert_encoder(c);
  if (spec.task == Task::pretraining || spec.task == Task::multiple_choice)
    c.fail("architectures", "names a head that this family does not have yet", "LongformerForMaskedLM");
  // As RoBERTa's, positions begin behind the padding's.
  spec.embeddings.padding_id = c.integer("pad_token_id", 1, 0, spec.vocab - 1);
  spec.embeddings.position_offset = spec.embeddings.padding_id + 1;
  spec.embeddings.skip_padding = true;
  spec.stack.max_positions = spec.embeddings.positions - spec.embeddings.position_offset;
  if (spec.max_positions() < 1) c.fail("max_position_embeddings", "leaves no position for a token");
  if (spec.heads.language_model) spec.heads.transform = Activation::gelu;
  spec.stack.block.attention.global = true;
  if (spec.task == Task::sequence_classification) spec.global_tokens = Spec::GlobalTokens::first;
  if (spec.task == Task::question_answering) {
    spec.global_tokens = Spec::GlobalTokens::before_separator;
    spec.separator_id = c.integer("sep_token_id", 2, 0, spec.vocab - 1);
  }
  const std::vector<int64_t> sizes = windows(c, spec.layers());
  spec.stack.vary([&](int64_t i, BlockSpec& block) {
    block.attention.window = sizes[std::min(static_cast<size_t>(i), sizes.size() - 1)] / 2 + 1;
  });
  return spec;
}

std::vector<WeightRule> weights(const Spec& spec) {
  std::vector<WeightRule> rules = bert_encoder_weights("longformer.");
  rules.push_back({"heads.language_model.weight", {"lm_head.decoder.weight"}});
  rules.push_back({"heads.language_model.bias", {"lm_head.bias"}});
  const std::string self = "longformer.encoder.layer.*.attention.self.", ours = "stack.blocks.*.attention.global.";
  const bool sequence = spec.task == Task::sequence_classification;
  const std::string classifier = sequence                                ? "classifier.out_proj"
                                 : spec.task == Task::question_answering ? "qa_outputs"
                                                                         : "classifier";
  for (const std::string end : {".weight", ".bias"})
    rules.insert(rules.end(),
                 {{ours + "query" + end, {self + "query_global" + end}},
                  {ours + "key_value" + end, {self + "key_global" + end, self + "value_global" + end}},
                  {"heads.pooler" + end, {(sequence ? "classifier.dense" : "longformer.pooler.dense") + end}},
                  {"heads.transform" + end, {"lm_head.dense" + end}},
                  {"heads.transform_norm" + end, {"lm_head.layer_norm" + end}},
                  {"heads.classifier" + end, {classifier + end}}});
  return rules;
}

Json config(const Sizes& s) {
  Json json = bert_encoder_config(s, "longformer", "LongformerForMaskedLM");
  json["max_position_embeddings"] = (s.context > 0 ? s.context : 4096) + 2;
  json["attention_window"] = 512;
  json["type_vocab_size"] = 1;
  json["layer_norm_eps"] = 1e-5;
  json["pad_token_id"] = 1;
  return json;
}

}  // namespace

extern const Family longformer{
    .type = "longformer",
    .name = "Longformer",
    .paper = "Beltagy et al. 2020, arXiv 2004.05150",
    .spec = spec,
    .weights = weights,
    .unused = {"longformer.embeddings.position_ids", "longformer.pooler.dense.weight", "longformer.pooler.dense.bias",
               "lm_head.decoder.weight", "lm_head.decoder.bias"},
    .base_prefix = "longformer.",
    .config = config,
};

}  // namespace qkv::families
