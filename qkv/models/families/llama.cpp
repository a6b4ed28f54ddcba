// Llama 1 to 3: Touvron et al., arXiv 2302.13971; Llama 3, arXiv 2407.21783.
#include "qkv/models/gated_decoder.h"

namespace qkv::families {
namespace {

Json config(const Sizes& s) {
  Json json = gated_decoder_config(s, "llama", "LlamaForCausalLM");
  json["attention_bias"] = false;
  json["mlp_bias"] = false;
  return json;
}

}  // namespace

extern const Family llama{
    .type = "llama",
    .name = "Llama",
    .paper = "Touvron et al. 2023, arXiv 2302.13971",
    .spec = gated_decoder,
    .weights = gated_decoder_weights,
    .unused = gated_decoder_unused(),
    .base_prefix = "model.",
    .config = config,
    .token_head = "score",
};

}  // namespace qkv::families
