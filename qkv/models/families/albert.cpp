// ALBERT: BERT with few blocks, each used by many layers, and narrow embeddings. Lan et al., arXiv 1909.11942.
#include "qkv/models/bert_encoder.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  Spec spec = bert_encoder(c);
  const int64_t narrow = c.size("embedding_size", 128);
  spec.embeddings.width = narrow;
  spec.embeddings.project_bias = true;
  spec.heads.transform_width = narrow;
  spec.heads.sentence_logits = "sop_logits";
  spec.heads.dropout = c.probability("classifier_dropout_prob", 0.1F);
  const int64_t layers = spec.layers();
  const int64_t groups = c.size("num_hidden_groups", 1);
  const int64_t inner = c.size("inner_group_num", 1);
  if (groups > layers) c.fail("num_hidden_groups", "is more than there are layers");
  // A layer applies all inner blocks of its group.
  for (int64_t i = 0; i < layers; ++i)
    for (int64_t j = 0; j < inner; ++j) spec.stack.order.push_back(i * groups / layers * inner + j);
  spec.stack.layers = layers * inner;
  spec.stack.blocks_together = inner;
  return spec;
}

std::vector<WeightRule> weights(const Spec& spec) {
  const std::string base = "albert.";
  std::vector<WeightRule> rules = {{"embeddings.token", {base + "embeddings.word_embeddings.weight"}},
                                   {"embeddings.position", {base + "embeddings.position_embeddings.weight"}},
                                   {"embeddings.segment", {base + "embeddings.token_type_embeddings.weight"}},
                                   {"heads.language_model.weight", {"predictions.decoder.weight"}},
                                   {"heads.language_model.bias", {"predictions.bias"}}};
  const int64_t inner = spec.stack.blocks_together;
  for (const std::string end : {".weight", ".bias"}) {
    for (int64_t b = 0; b < spec.stack.distinct(); ++b) {
      const std::string ours = "stack.blocks." + std::to_string(b) + ".";
      const std::string theirs = base + "encoder.albert_layer_groups." + std::to_string(b / inner) + ".albert_layers." +
                                 std::to_string(b % inner) + ".";
      const std::string self = theirs + "attention.";
      rules.insert(rules.end(),
                   {{ours + "attention.qkv" + end, {self + "query" + end, self + "key" + end, self + "value" + end}},
                    {ours + "attention.out" + end, {self + "dense" + end}},
                    {ours + "norm1" + end, {self + "LayerNorm" + end}},
                    {ours + "feed_forward.up" + end, {theirs + "ffn" + end}},
                    {ours + "feed_forward.down" + end, {theirs + "ffn_output" + end}},
                    {ours + "norm2" + end, {theirs + "full_layer_layer_norm" + end}}});
    }
    const std::string classifier = spec.task == Task::question_answering ? "qa_outputs" : "classifier";
    rules.insert(rules.end(), {{"embeddings.norm" + end, {base + "embeddings.LayerNorm" + end}},
                               {"embeddings.projection" + end, {base + "encoder.embedding_hidden_mapping_in" + end}},
                               {"heads.pooler" + end, {base + "pooler" + end}},
                               {"heads.transform" + end, {"predictions.dense" + end}},
                               {"heads.transform_norm" + end, {"predictions.LayerNorm" + end}},
                               {"heads.next_sentence" + end, {"sop_classifier.classifier" + end}},
                               {"heads.classifier" + end, {classifier + end}}});
  }
  return rules;
}

Json config(const Sizes& s) {
  Json json = bert_encoder_config(s, "albert", "AlbertForMaskedLM");
  json["embedding_size"] = std::min<int64_t>(128, json["hidden_size"].get<int64_t>());
  json["hidden_act"] = "gelu_new";
  json["num_hidden_groups"] = 1;
  json["inner_group_num"] = 1;
  json["classifier_dropout_prob"] = s.dropout;
  return json;
}

}  // namespace

extern const Family albert{
    .type = "albert",
    .name = "ALBERT",
    .paper = "Lan et al. 2019, arXiv 1909.11942",
    .spec = spec,
    .weights = weights,
    .unused = {"albert.embeddings.position_ids", "predictions.decoder.weight", "predictions.decoder.bias"},
    .base_prefix = "albert.",
    .config = config,
    .tensorflow = {"albert_config.json",
                   "AlbertForPreTraining",
                   {{"bert/", "albert/"},
                    {"/transformer/group_*/inner_group_*/", "/albert_layer_groups/*/albert_layers/*/"},
                    {"/albert_layers/*/LayerNorm/", "/albert_layers/*/attention/LayerNorm/"},
                    {"/LayerNorm_1/", "/full_layer_layer_norm/"},
                    {"/attention_1/self/", "/attention/"},
                    {"/attention_1/output/", "/attention/"},
                    {"/ffn_1/intermediate/output/dense/", "/ffn_output/"},
                    {"/ffn_1/intermediate/dense/", "/ffn/"},
                    {"/pooler/dense/", "/pooler/"},
                    {"cls/predictions/output_bias", "predictions/bias"},
                    {"cls/predictions/transform/", "predictions/"},
                    {"cls/seq_relationship/output_", "sop_classifier/classifier/"},
                    {"classifier/weights", "classifier/weight"}}},
};

}  // namespace qkv::families
