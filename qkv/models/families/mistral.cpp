// Mistral: Llama with a sliding window. Jiang et al., arXiv 2310.06825.
#include "qkv/models/gated_decoder.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  Spec spec = gated_decoder(c);
  if (c.has("sliding_window")) spec.stack.block.attention.window = c.size("sliding_window");
  return spec;
}

Json config(const Sizes& s) {
  Json json = gated_decoder_config(s, "mistral", "MistralForCausalLM");
  json["sliding_window"] = nullptr;
  return json;
}

}  // namespace

extern const Family mistral{
    .type = "mistral",
    .name = "Mistral",
    .paper = "Jiang et al. 2023, arXiv 2310.06825",
    .spec = spec,
    .weights = gated_decoder_weights,
    .unused = gated_decoder_unused(),
    .base_prefix = "model.",
    .config = config,
    .token_head = "score",
};

}  // namespace qkv::families
