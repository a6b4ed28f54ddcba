// BART: Lewis et al., arXiv 1910.13461.
#include "qkv/models/bart_encoder_decoder.h"

namespace qkv::families {
namespace {

Json config(const Sizes& s) { return bart_encoder_decoder_config(s, "bart", "BartForConditionalGeneration"); }

}  // namespace

extern const Family bart{
    .type = "bart",
    .name = "BART",
    .paper = "Lewis et al. 2019, arXiv 1910.13461",
    .spec = bart_encoder_decoder,
    .weights = bart_encoder_decoder_weights,
    .unused = bart_encoder_decoder_unused(),
    .base_prefix = "model.",
    .config = config,
};

}  // namespace qkv::families
