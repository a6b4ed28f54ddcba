#include "qkv/models/roberta_encoder.h"

#include "qkv/models/bert_encoder.h"
#include "qkv/models/class_heads.h"

namespace qkv {

Spec roberta_encoder(const Config& c) {
  Spec spec = bert_encoder(c);
  spec.embeddings.padding_id = c.integer("pad_token_id", 1, 0, spec.vocab - 1);
  spec.embeddings.position_offset = spec.embeddings.padding_id + 1;
  spec.embeddings.skip_padding = true;
  spec.stack.max_positions = spec.embeddings.positions - spec.embeddings.position_offset;
  if (spec.max_positions() < 1) c.fail("max_position_embeddings", "leaves no position for a token");
  if (spec.heads.language_model) spec.heads.transform = Activation::gelu;
  return spec;
}

std::vector<WeightRule> roberta_encoder_weights(const Spec& spec, const std::string& base) {
  std::vector<WeightRule> rules = bert_encoder_weights(base);
  rules.push_back({"heads.language_model.weight", {"lm_head.decoder.weight"}});
  rules.push_back({"heads.language_model.bias", {"lm_head.bias"}});
  for (const std::string end : {".weight", ".bias"}) {
    rules.push_back({"heads.transform" + end, {"lm_head.dense" + end}});
    rules.push_back({"heads.transform_norm" + end, {"lm_head.layer_norm" + end}});
  }
  for (WeightRule& rule : class_head_rules(spec, "classifier", base + "pooler")) rules.push_back(std::move(rule));
  return rules;
}

std::vector<std::string> roberta_encoder_unused(const std::string& base) {
  return {base + "embeddings.position_ids", base + "pooler.dense.weight", base + "pooler.dense.bias",
          "lm_head.decoder.weight", "lm_head.decoder.bias"};
}

Json roberta_encoder_config(const Sizes& s, const char* type, const char* architecture) {
  Json json = bert_encoder_config(s, type, architecture);
  json["max_position_embeddings"] = json["max_position_embeddings"].get<int64_t>() + 2;
  json["type_vocab_size"] = 1;
  json["layer_norm_eps"] = 1e-5;
  json["pad_token_id"] = 1;
  return json;
}

}  // namespace qkv
