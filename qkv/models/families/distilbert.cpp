// DistilBERT: half of BERT, without segments. Sanh et al., arXiv 1910.01108.
#include "qkv/models/bert_encoder.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  // BERT's mapping under BERT's keys.
  Json json = c.json();
  const auto rename = [&](const char* theirs, const char* bert) {
    if (json.contains(theirs)) json[bert] = json[theirs];
  };
  rename("dim", "hidden_size");
  rename("n_layers", "num_hidden_layers");
  rename("n_heads", "num_attention_heads");
  rename("hidden_dim", "intermediate_size");
  rename("activation", "hidden_act");
  rename("dropout", "hidden_dropout_prob");
  rename("attention_dropout", "attention_probs_dropout_prob");
  rename("seq_classif_dropout", "classifier_dropout");
  Spec spec = bert_encoder(Config(json, c.where()));
  spec.embeddings.token_types = 0;
  if (spec.task == Task::features) spec.heads.pooler = false;
  spec.heads.pooler_activation = Activation::relu;
  return spec;
}

std::vector<WeightRule> weights(const Spec& spec) {
  const std::string base = "distilbert.";
  const std::string layer = base + "transformer.layer.*.";
  const std::string self = layer + "attention.";
  std::vector<WeightRule> rules = {{"embeddings.token", {base + "embeddings.word_embeddings.weight"}},
                                   {"embeddings.position", {base + "embeddings.position_embeddings.weight"}}};
  for (const std::string end : {".weight", ".bias"})
    rules.insert(
        rules.end(),
        {{"embeddings.norm" + end, {base + "embeddings.LayerNorm" + end}},
         {"stack.blocks.*.attention.qkv" + end, {self + "q_lin" + end, self + "k_lin" + end, self + "v_lin" + end}},
         {"stack.blocks.*.attention.out" + end, {self + "out_lin" + end}},
         {"stack.blocks.*.norm1" + end, {layer + "sa_layer_norm" + end}},
         {"stack.blocks.*.feed_forward.up" + end, {layer + "ffn.lin1" + end}},
         {"stack.blocks.*.feed_forward.down" + end, {layer + "ffn.lin2" + end}},
         {"stack.blocks.*.norm2" + end, {layer + "output_layer_norm" + end}},
         {"heads.transform" + end, {"vocab_transform" + end}},
         {"heads.transform_norm" + end, {"vocab_layer_norm" + end}},
         {"heads.language_model" + end, {"vocab_projector" + end}},
         {"heads.pooler" + end, {"pre_classifier" + end}},
         {"heads.classifier" + end, {(spec.task == Task::question_answering ? "qa_outputs" : "classifier") + end}}});
  return rules;
}

Json config(const Sizes& s) {
  const int64_t width = s.width > 0 ? s.width : 768;
  return {{"model_type", "distilbert"},
          {"architectures", {"DistilBertForMaskedLM"}},
          {"vocab_size", s.vocab},
          {"max_position_embeddings", s.context > 0 ? s.context : 512},
          {"dim", width},
          {"n_layers", s.layers > 0 ? s.layers : 6},
          {"n_heads", s.heads > 0 ? s.heads : 12},
          {"hidden_dim", s.feed_forward > 0 ? s.feed_forward : 4 * width},
          {"activation", "gelu"},
          {"dropout", s.dropout},
          {"attention_dropout", s.dropout},
          {"initializer_range", 0.02},
          {"tie_word_embeddings", s.tied}};
}

}  // namespace

extern const Family distilbert{
    .type = "distilbert",
    .name = "DistilBERT",
    .paper = "Sanh et al. 2019, arXiv 1910.01108",
    .spec = spec,
    .weights = weights,
    .unused = {"distilbert.embeddings.position_ids", "vocab_projector.weight"},
    .base_prefix = "distilbert.",
    .config = config,
};

}  // namespace qkv::families
