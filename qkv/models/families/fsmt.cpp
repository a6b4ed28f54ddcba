// FSMT: fairseq's winners of WMT 2019, with a vocabulary for each language. Ng et al., arXiv 1907.06616.
#include "qkv/models/bart_encoder_decoder.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  Json json = c.json();
  json["vocab_size"] = c.size("tgt_vocab_size");
  Spec spec = bart_encoder_decoder(Config(json, c.where()));
  spec.encoder->vocab = c.size("src_vocab_size");
  spec.encoder->shared_tokens = false;
  spec.heads.language_model_bias = false;
  spec.heads.tied = c.flag("tie_word_embeddings", false);
  spec.hides_padding = true;
  // Positions count from the row behind the padding id, and pass padding over.
  for (EmbeddingsSpec* embeddings : {&spec.embeddings, &spec.encoder->embeddings}) {
    embeddings->position_offset = embeddings->padding_id + 1;
    embeddings->positions = spec.max_positions() + embeddings->position_offset;
    embeddings->position_kind = EmbeddingsSpec::Positions::sinusoidal;
    embeddings->inclusive_sinusoids = true;
    embeddings->skip_padding = true;
    embeddings->norm.reset();
  }
  return spec;
}

std::vector<WeightRule> weights(const Spec& spec) {
  std::vector<WeightRule> rules = bart_encoder_decoder_weights(spec);
  rules.push_back({"heads.language_model.weight", {"model.decoder.output_projection.weight"}});
  return rules;
}

Json config(const Sizes& s) {
  Json json = bart_encoder_decoder_config(s, "fsmt", "FSMTForConditionalGeneration");
  json["src_vocab_size"] = s.vocab;
  json["tgt_vocab_size"] = s.vocab;
  json["langs"] = {"en", "de"};
  json["activation_function"] = "relu";
  json["scale_embedding"] = true;
  return json;
}

}  // namespace

extern const Family fsmt{
    .type = "fsmt",
    .name = "FSMT",
    .paper = "Ng et al. 2019, arXiv 1907.06616",
    .spec = spec,
    .weights = weights,
    .unused = {"model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight",
               "model.decoder.output_projection.weight"},
    .base_prefix = "model.",
    .config = config,
};

}  // namespace qkv::families
