// The shape that Llama set and many families follow: RMS norms before each branch, rotary positions, grouped heads, a
// gated feed-forward, hardly any bias. A family starts from it and changes what is its own.
#pragma once

#include "qkv/models/family.h"

namespace qkv {

// Reads the keys that these families share; those that a configuration lacks have Llama's defaults.
Spec gated_decoder(const Config& config);

// "model.layers.*.self_attn.q_proj", "mlp.gate_proj", ...; head norms are "q_norm" and "k_norm".
std::vector<WeightRule> gated_decoder_weights(const Spec& spec);

// Buffers and duplicates in these families' checkpoints.
std::vector<std::string> gated_decoder_unused();

Json gated_decoder_config(const Sizes& sizes, const char* type, const char* architecture);

// Layers whose "layer_types" entry is "sliding_attention" see a window, the others everything; without that key,
// the first `full` layers see everything.
void set_windows(const Config& config, StackSpec& stack, int64_t window, int64_t full);

}  // namespace qkv
