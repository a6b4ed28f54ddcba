// BERT: Devlin et al., arXiv 1810.04805.
#include "qkv/models/bert_encoder.h"

namespace qkv::families {
namespace {

std::vector<WeightRule> weights(const Spec& spec) {
  std::vector<WeightRule> rules = bert_encoder_weights("bert.");
  rules.push_back({"heads.language_model.weight", {"cls.predictions.decoder.weight"}});
  // An untied head uses the decoder's own bias; the other one is there but idle.
  rules.push_back(
      {"heads.language_model.bias", {spec.heads.tied ? "cls.predictions.bias" : "cls.predictions.decoder.bias"}});
  for (const std::string end : {".weight", ".bias"})
    rules.insert(rules.end(), {{"heads.pooler" + end, {"bert.pooler.dense" + end}},
                               {"heads.transform" + end, {"cls.predictions.transform.dense" + end}},
                               {"heads.transform_norm" + end, {"cls.predictions.transform.LayerNorm" + end}},
                               {"heads.next_sentence" + end, {"cls.seq_relationship" + end}},
                               {"heads.classifier" + end,
                                {(spec.task == Task::question_answering ? "qa_outputs" : "classifier") + end}}});
  return rules;
}

Json config(const Sizes& s) { return bert_encoder_config(s, "bert", "BertForMaskedLM"); }

}  // namespace

extern const Family bert{
    .type = "bert",
    .name = "BERT",
    .paper = "Devlin et al. 2018, arXiv 1810.04805",
    .spec = bert_encoder,
    .weights = weights,
    .unused = {"bert.embeddings.position_ids", "cls.predictions.bias", "cls.predictions.decoder.bias",
               "cls.predictions.decoder.weight"},
    .base_prefix = "bert.",
    .config = config,
    .tensorflow = {"bert_config.json",
                   "BertForPreTraining",
                   {{"/layer_*/", "/layer/*/"},
                    {"cls/predictions/output_bias", "cls/predictions/bias"},
                    {"cls/seq_relationship/output_", "cls/seq_relationship/"},
                    {"cls/squad/output_", "qa_outputs/"},
                    {"output_weights", "classifier/weight"},
                    {"output_bias", "classifier/bias"},
                    {"/weights", "/weight"}}},
};

}  // namespace qkv::families
