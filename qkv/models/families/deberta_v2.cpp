// DeBERTa v2 and v3: BERT with disentangled relative positions and, in v2, a convolution beside the first layer.
// He et al., arXiv 2006.03654 and 2111.09543.
#include "qkv/models/bert_encoder.h"
#include "qkv/models/disentangled_config.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  Json json = c.json();
  json["layer_norm_eps"] = c.positive("layer_norm_eps", 1e-7);
  json["type_vocab_size"] = std::max<int64_t>(1, c.integer("type_vocab_size", 0, 0, 1 << 20));
  json["classifier_dropout"] = c.probability("cls_dropout", c.probability("hidden_dropout_prob", 0.1F));
  Spec spec = bert_encoder(Config(json, c.where()));
  if (c.integer("type_vocab_size", 0, 0, 1 << 20) == 0) spec.embeddings.token_types = 0;
  if (!c.flag("position_biased_input", true)) spec.embeddings.positions = 0;
  const int64_t narrow = c.size("embedding_size", spec.width());
  if (narrow != spec.width()) {
    if (spec.embeddings.positions > 0 || spec.embeddings.token_types > 0)
      c.fail("embedding_size", "differs from hidden_size, which is supported without positions and segments only");
    spec.embeddings.width = narrow;
    spec.embeddings.project_tokens = true;
    spec.heads.transform_width = narrow;
  }
  if (spec.task == Task::features) spec.heads.pooler = false;
  if (c.size("pooler_hidden_size", spec.width()) != spec.width()) c.fail("pooler_hidden_size", "must be hidden_size");
  spec.heads.pooler_activation = activation_named(c.text("pooler_hidden_act", "gelu"));
  spec.heads.pooler_dropout = c.probability("pooler_dropout", 0);
  spec.older_names = c.flag("legacy", true);
  if (!spec.older_names) spec.heads.tied = true;
  set_disentangled_positions(c, spec.stack);
  if (const int64_t size = c.integer("conv_kernel_size", 0, 0, 255); size > 0) {
    if (size % 2 == 0 || c.size("conv_groups", 1) != 1)
      c.fail("conv_kernel_size", "is even, or conv_groups is not 1: this is not supported");
    const Activation activation = activation_named(c.text("conv_act", "tanh"));
    spec.stack.vary([&](int64_t i, BlockSpec& block) {
      if (i == 0) block.convolution = ConvolutionSpec{size, activation};
    });
  }
  return spec;
}

std::vector<WeightRule> weights(const Spec& spec) {
  std::vector<WeightRule> rules = bert_encoder_weights("deberta.");
  const std::string self = "deberta.encoder.layer.*.attention.self.", ours = "stack.blocks.*.attention.";
  const std::string head = spec.older_names ? "cls.predictions." : "lm_predictions.lm_head.";
  const std::string transform = spec.older_names ? head + "transform." : head;
  rules.insert(rules.end(),
               {{"stack.distances.table", {"deberta.encoder.rel_embeddings.weight"}},
                {"heads.language_model.weight", {"cls.predictions.decoder.weight"}},
                {"heads.language_model.bias", {spec.heads.tied ? head + "bias" : "cls.predictions.decoder.bias"}},
                {"embeddings.projection.weight", {"deberta.embeddings.embed_proj.weight"}}});
  const std::string classifier = spec.task == Task::question_answering ? "qa_outputs" : "classifier";
  std::erase_if(rules, [&](const WeightRule& rule) { return rule.ours.starts_with(ours + "qkv"); });
  for (const std::string end : {".weight", ".bias"})
    rules.insert(rules.end(),
                 {{ours + "qkv" + end, {self + "query_proj" + end, self + "key_proj" + end, self + "value_proj" + end}},
                  {ours + "relative.key" + end, {self + "pos_key_proj" + end}},
                  {ours + "relative.query" + end, {self + "pos_query_proj" + end}},
                  {"stack.distances.norm" + end, {"deberta.encoder.LayerNorm" + end}},
                  {"stack.blocks.0.convolution" + end, {"deberta.encoder.conv.conv" + end}},
                  {"stack.blocks.0.convolution.norm" + end, {"deberta.encoder.conv.LayerNorm" + end}},
                  {"heads.pooler" + end, {"pooler.dense" + end}},
                  {"heads.transform" + end, {transform + "dense" + end}},
                  {"heads.transform_norm" + end, {transform + "LayerNorm" + end}},
                  {"heads.classifier" + end, {classifier + end}}});
  return rules;
}

std::vector<std::string> unused() {
  std::vector<std::string> names = {"deberta.embeddings.position_ids", "deberta.embeddings.position_embeddings.weight",
                                    "cls.predictions.bias", "lm_predictions.lm_head.bias"};
  for (const std::string end : {".weight", ".bias"})
    for (const std::string part :
         {"cls.predictions.decoder", "lm_predictions.lm_head.dense", "lm_predictions.lm_head.LayerNorm",
          "mask_predictions.dense", "mask_predictions.LayerNorm", "mask_predictions.classifier"})
      names.push_back(part + end);
  return names;
}

Json config(const Sizes& s) {
  Json json = bert_encoder_config(s, "deberta-v2", "DebertaV2ForMaskedLM");
  json.update(Json::parse(R"({"layer_norm_eps": 1e-7, "type_vocab_size": 0, "position_biased_input": false,
    "legacy": false, "relative_attention": true, "pos_att_type": ["p2c", "c2p"], "share_att_key": true,
    "norm_rel_ebd": "layer_norm", "max_relative_positions": -1})"));
  if (json["max_position_embeddings"] > 256) json["position_buckets"] = 256;
  return json;
}

}  // namespace

extern const Family deberta_v2{
    .type = "deberta-v2",
    .name = "DeBERTa v2, v3",
    .paper = "He et al. 2020, arXiv 2006.03654",
    .spec = spec,
    .weights = weights,
    .unused = unused(),
    .base_prefix = "deberta.",
    .config = config,
};

}  // namespace qkv::families
