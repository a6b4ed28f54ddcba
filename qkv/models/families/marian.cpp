// Marian: the original transformer (Vaswani et al., arXiv 1706.03762) as the Marian toolkit trains it for translation.
// Junczys-Dowmunt et al., arXiv 1804.00344.
#include "qkv/models/bart_encoder_decoder.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  Spec spec = bart_encoder_decoder(c);
  set_sinusoids(spec);
  if (c.flag("share_encoder_decoder_embeddings", true)) return spec;
  spec.encoder->shared_tokens = false;
  spec.vocab = c.size("decoder_vocab_size", spec.vocab);
  return spec;
}

Json config(const Sizes& s) {
  Json json = bart_encoder_decoder_config(s, "marian", "MarianMTModel");
  json["activation_function"] = "swish";
  json["scale_embedding"] = true;
  json["pad_token_id"] = s.vocab - 1;
  json["decoder_start_token_id"] = s.vocab - 1;
  return json;
}

}  // namespace

extern const Family marian{
    .type = "marian",
    .name = "Marian",
    .paper = "Junczys-Dowmunt et al. 2018, arXiv 1804.00344",
    .spec = spec,
    .weights = bart_encoder_decoder_weights,
    .unused = bart_encoder_decoder_unused(),
    .base_prefix = "model.",
    .config = config,
};

}  // namespace qkv::families
