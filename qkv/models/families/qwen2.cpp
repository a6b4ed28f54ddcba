// Qwen 2 and 2.5: Llama with biases on queries, keys and values. Yang et al., arXiv 2407.10671.
#include "qkv/models/gated_decoder.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  Spec spec = gated_decoder(c);
  spec.stack.block.attention.qkv_bias = true;
  if (c.flag("use_sliding_window", false))
    set_windows(c, spec.stack, c.size("sliding_window", 4096), c.integer("max_window_layers", 28, 0, 1 << 20));
  return spec;
}

Json config(const Sizes& s) { return gated_decoder_config(s, "qwen2", "Qwen2ForCausalLM"); }

}  // namespace

extern const Family qwen2{
    .type = "qwen2",
    .name = "Qwen 2",
    .paper = "Yang et al. 2024, arXiv 2407.10671",
    .spec = spec,
    .weights = gated_decoder_weights,
    .unused = gated_decoder_unused(),
    .base_prefix = "model.",
    .config = config,
    .token_head = "score",
};

}  // namespace qkv::families
