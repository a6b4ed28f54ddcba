// ELECTRA: a generator and a detector of what it replaced. Clark et al., arXiv 2003.10555.
#include "qkv/models/bert_encoder.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  Spec spec = bert_encoder(c);
  const int64_t narrow = c.size("embedding_size", 128);
  if (narrow != spec.width()) {
    spec.embeddings.width = narrow;
    spec.embeddings.project_bias = true;
  }
  HeadsSpec& heads = spec.heads;
  if (spec.task == Task::masked_lm) {
    heads.transform = Activation::gelu;
    heads.transform_width = narrow;
  }
  if (spec.task == Task::pretraining) {
    spec.task = Task::replaced_tokens;
    heads = {.transform = activation_named(c.text("hidden_act", "gelu")), .labels = 1};
  }
  // The bare model has no pooler; classifiers bring their own.
  if (spec.task == Task::features) heads.pooler = false;
  heads.pooler_activation = Activation::gelu;
  return spec;
}

std::vector<WeightRule> weights(const Spec& spec) {
  std::vector<WeightRule> rules = bert_encoder_weights("electra.");
  rules.push_back({"heads.language_model.weight", {"generator_lm_head.weight"}});
  rules.push_back({"heads.language_model.bias", {"generator_lm_head.bias"}});
  const bool detects = spec.task == Task::replaced_tokens;
  const std::string classifier = detects ? "discriminator_predictions.dense_prediction"
                                 : spec.task == Task::sequence_classification ? "classifier.out_proj"
                                 : spec.task == Task::question_answering      ? "qa_outputs"
                                                                              : "classifier";
  const std::string pooler = spec.task == Task::multiple_choice ? "sequence_summary.summary" : "classifier.dense";
  const std::string transform = detects ? "discriminator_predictions.dense" : "generator_predictions.dense";
  for (const std::string end : {".weight", ".bias"})
    rules.insert(rules.end(), {{"embeddings.projection" + end, {"electra.embeddings_project" + end}},
                               {"heads.transform" + end, {transform + end}},
                               {"heads.transform_norm" + end, {"generator_predictions.LayerNorm" + end}},
                               {"heads.pooler" + end, {pooler + end}},
                               {"heads.classifier" + end, {classifier + end}}});
  return rules;
}

Json config(const Sizes& s) {
  Json json = bert_encoder_config(s, "electra", "ElectraForMaskedLM");
  json["embedding_size"] = json["hidden_size"];
  return json;
}

}  // namespace

extern const Family electra{
    .type = "electra",
    .name = "ELECTRA",
    .paper = "Clark et al. 2020, arXiv 2003.10555",
    .spec = spec,
    .weights = weights,
    .unused = {"electra.embeddings.position_ids", "generator_lm_head.weight"},
    .base_prefix = "electra.",
    .config = config,
};

}  // namespace qkv::families
