// RetriBERT: two BERT encoders, of queries and of documents, trained to meet. Jernite 2020, "Explain
// anything like I'm five".
#include "qkv/models/bert_encoder.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  Spec spec = bert_encoder(c);
  if (task_of(c) != Task::features)
    c.fail("architectures", "names a head that this family does not have", "RetriBertModel");
  spec.task = Task::retrieval;
  spec.heads.pooler = true;
  spec.heads.projection = c.size("projection_dim", 128);
  spec.twin = !c.flag("share_encoders", true);
  return spec;
}

std::vector<WeightRule> tower(const std::string& ours, const std::string& base, const std::string& projection) {
  std::vector<WeightRule> rules = bert_encoder_weights(base);
  for (const std::string end : {".weight", ".bias"})
    rules.push_back({"heads.pooler" + end, {base + "pooler.dense" + end}});
  rules.push_back({"heads.projection.weight", {projection}});
  for (WeightRule& rule : rules) rule.ours = ours + rule.ours;
  return rules;
}

std::vector<WeightRule> weights(const Spec&) {
  std::vector<WeightRule> rules = tower("", "bert_query.", "project_query.weight");
  const std::vector<WeightRule> documents = tower("documents.", "bert_doc.", "project_doc.weight");
  rules.insert(rules.end(), documents.begin(), documents.end());
  return rules;
}

Json config(const Sizes& s) {
  Json json = bert_encoder_config(s, "retribert", "RetriBertModel");
  json["projection_dim"] = 128;
  json["share_encoders"] = false;
  return json;
}

}  // namespace

extern const Family retribert{
    .type = "retribert",
    .name = "RetriBERT",
    .paper = "Jernite 2020, Explain anything like I'm five",
    .spec = spec,
    .weights = weights,
    .unused = {"bert_query.embeddings.position_ids", "bert_doc.embeddings.position_ids"},
    .config = config,
};

}  // namespace qkv::families
