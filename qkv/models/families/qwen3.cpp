// Qwen 3: Llama with norms on the queries and keys of each head. Yang et al., arXiv 2505.09388.
#include "qkv/models/gated_decoder.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  Spec spec = gated_decoder(c);
  spec.stack.block.attention.head_norm = spec.stack.block.norm;
  if (c.flag("use_sliding_window", false))
    set_windows(c, spec.stack, c.size("sliding_window", 4096), c.integer("max_window_layers", 28, 0, 1 << 20));
  return spec;
}

Json config(const Sizes& s) { return gated_decoder_config(s, "qwen3", "Qwen3ForCausalLM"); }

}  // namespace

extern const Family qwen3{
    .type = "qwen3",
    .name = "Qwen 3",
    .paper = "Yang et al. 2025, arXiv 2505.09388",
    .spec = spec,
    .weights = gated_decoder_weights,
    .unused = gated_decoder_unused(),
    .base_prefix = "model.",
    .config = config,
    .token_head = "score",
};

}  // namespace qkv::families
