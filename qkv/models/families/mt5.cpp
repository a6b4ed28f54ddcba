// mT5: T5 1.1 in a hundred languages. Xue et al., arXiv 2010.11934.
#include "qkv/models/t5_encoder_decoder.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) { return t5_encoder_decoder(c); }

std::vector<WeightRule> weights(const Spec& spec) { return t5_encoder_decoder_weights(spec, "DenseReluDense"); }

Json config(const Sizes& s) {
  Json json = t5_encoder_decoder_config(s, "mt5", "MT5ForConditionalGeneration");
  json["feed_forward_proj"] = "gated-gelu";
  return json;
}

}  // namespace

extern const Family mt5{
    .type = "mt5",
    .name = "mT5",
    .paper = "Xue et al. 2020, arXiv 2010.11934",
    .spec = spec,
    .weights = weights,
    .unused = t5_encoder_decoder_unused(),
    .base_prefix = "",
    .config = config,
};

}  // namespace qkv::families
