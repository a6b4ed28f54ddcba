// T5 1.0 and 1.1: Raffel et al., arXiv 1910.10683; 1.1 has gated feed-forwards and a head of its own.
#include "qkv/models/t5_encoder_decoder.h"

#include <cmath>

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  Spec spec = t5_encoder_decoder(c);
  if (c.flag("scale_decoder_outputs", spec.heads.tied))
    spec.heads.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(spec.width())));
  return spec;
}

std::vector<WeightRule> weights(const Spec& spec) { return t5_encoder_decoder_weights(spec, "DenseReluDense"); }

Json config(const Sizes& s) { return t5_encoder_decoder_config(s, "t5", "T5ForConditionalGeneration"); }

}  // namespace

extern const Family t5{
    .type = "t5",
    .name = "T5",
    .paper = "Raffel et al. 2019, arXiv 1910.10683",
    .spec = spec,
    .weights = weights,
    .unused = t5_encoder_decoder_unused(),
    .base_prefix = "",
    .config = config,
};

}  // namespace qkv::families
