// RoBERTa: BERT with positions behind the padding's, and other heads. Liu et al., arXiv 1907.11692.
#include "qkv/models/bert_encoder.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  Spec spec = bert_encoder(c);
  // Row padding_id of the position table is the padding's; texts begin behind it.
  spec.embeddings.padding_id = c.integer("pad_token_id", 1, 0, spec.vocab - 1);
  spec.embeddings.position_offset = spec.embeddings.padding_id + 1;
  spec.embeddings.skip_padding = true;
  spec.stack.max_positions = spec.embeddings.positions - spec.embeddings.position_offset;
  if (spec.max_positions() < 1) c.fail("max_position_embeddings", "leaves no position for a token");
  if (spec.heads.language_model) spec.heads.transform = Activation::gelu;
  return spec;
}

std::vector<WeightRule> weights(const Spec& spec) {
  std::vector<WeightRule> rules = bert_encoder_weights("roberta.");
  rules.push_back({"heads.language_model.weight", {"lm_head.decoder.weight"}});
  rules.push_back({"heads.language_model.bias", {"lm_head.bias"}});
  const bool sequence = spec.task == Task::sequence_classification;
  const std::string classifier = sequence                                ? "classifier.out_proj"
                                 : spec.task == Task::question_answering ? "qa_outputs"
                                                                         : "classifier";
  for (const std::string end : {".weight", ".bias"})
    rules.insert(rules.end(), {{"heads.pooler" + end, {(sequence ? "classifier.dense" : "roberta.pooler.dense") + end}},
                               {"heads.transform" + end, {"lm_head.dense" + end}},
                               {"heads.transform_norm" + end, {"lm_head.layer_norm" + end}},
                               {"heads.classifier" + end, {classifier + end}}});
  return rules;
}

Json config(const Sizes& s) {
  Json json = bert_encoder_config(s, "roberta", "RobertaForMaskedLM");
  json["max_position_embeddings"] = json["max_position_embeddings"].get<int64_t>() + 2;
  json["type_vocab_size"] = 1;
  json["layer_norm_eps"] = 1e-5;
  json["pad_token_id"] = 1;
  return json;
}

}  // namespace

extern const Family roberta{
    .type = "roberta",
    .name = "RoBERTa",
    .paper = "Liu et al. 2019, arXiv 1907.11692",
    .spec = spec,
    .weights = weights,
    .unused = {"roberta.embeddings.position_ids", "roberta.pooler.dense.weight", "roberta.pooler.dense.bias",
               "lm_head.decoder.weight", "lm_head.decoder.bias"},
    .base_prefix = "roberta.",
    .config = config,
    .older_types = {"camembert"},
};

}  // namespace qkv::families
