// mBART: BART with norms before each branch, in many languages; a target begins with its language, which closes its
// labels. Liu et al., arXiv 2001.08210.
#include "qkv/models/bart_encoder_decoder.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  Spec spec = bart_encoder_decoder(c);
  set_pre_norm(spec);
  spec.starts_with_last = true;
  return spec;
}

Json config(const Sizes& s) { return bart_encoder_decoder_config(s, "mbart", "MBartForConditionalGeneration"); }

}  // namespace

extern const Family mbart{
    .type = "mbart",
    .name = "mBART",
    .paper = "Liu et al. 2020, arXiv 2001.08210",
    .spec = spec,
    .weights = bart_encoder_decoder_weights,
    .unused = bart_encoder_decoder_unused(),
    .base_prefix = "model.",
    .config = config,
};

}  // namespace qkv::families
