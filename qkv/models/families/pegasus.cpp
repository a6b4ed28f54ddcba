// Pegasus: BART with norms before each branch and sinusoidal positions. Zhang et al., arXiv 1912.08777.
#include "qkv/models/bart_encoder_decoder.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  Spec spec = bart_encoder_decoder(c);
  set_pre_norm(spec);
  set_sinusoids(spec);
  return spec;
}

Json config(const Sizes& s) {
  Json json = bart_encoder_decoder_config(s, "pegasus", "PegasusForConditionalGeneration");
  json["activation_function"] = "relu";
  json["scale_embedding"] = true;
  json["pad_token_id"] = 0;
  json["decoder_start_token_id"] = 0;
  return json;
}

}  // namespace

extern const Family pegasus{
    .type = "pegasus",
    .name = "Pegasus",
    .paper = "Zhang et al. 2019, arXiv 1912.08777",
    .spec = spec,
    .weights = bart_encoder_decoder_weights,
    .unused = bart_encoder_decoder_unused(),
    .base_prefix = "model.",
    .config = config,
};

}  // namespace qkv::families
