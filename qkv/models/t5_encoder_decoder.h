// The encoder-decoder that T5 set and others follow: pre-norm blocks without biases, distances in place of positions. A
// family starts from it and changes what is its own.
#pragma once

#include "qkv/models/family.h"

namespace qkv {

// Reads the keys that these families share, and makes T5 of them.
Spec t5_encoder_decoder(const Config& config);

// "encoder.block.*.layer.0.SelfAttention.q", "decoder.block.*.layer.2.DenseReluDense.wi", ... `feed_forward` is the
// name of that part.
std::vector<WeightRule> t5_encoder_decoder_weights(const Spec& spec, const std::string& feed_forward);

// Copies of the shared embedding under other names, and a table that no layer reads.
std::vector<std::string> t5_encoder_decoder_unused();

Json t5_encoder_decoder_config(const Sizes& sizes, const char* type, const char* architecture);

}  // namespace qkv
