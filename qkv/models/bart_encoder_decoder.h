// The encoder-decoder that BART set and others follow (it is the original transformer with learned positions). A family
// starts from it and changes what is its own.
#pragma once

#include "qkv/models/family.h"

namespace qkv {

// Reads the keys that these families share, and makes BART of them: post-norm blocks, learned positions that begin at
// row 2, norms of the embeddings, a head tied to the shared embedding, with a bias that is not trained.
Spec bart_encoder_decoder(const Config& config);

// Changes both stacks: blocks with norms before each branch and one behind the last (mBART, Pegasus).
void set_pre_norm(Spec& spec);
// Changes both stacks: sinusoidal positions from row 0, no norm of the embeddings (Marian, Pegasus).
void set_sinusoids(Spec& spec);

// "model.encoder.layers.*.self_attn.q_proj", "model.decoder.layers.*.encoder_attn.q_proj", ...
std::vector<WeightRule> bart_encoder_decoder_weights(const Spec& spec);

// Copies of the shared embedding under other names, and tables that are computed.
std::vector<std::string> bart_encoder_decoder_unused();

Json bart_encoder_decoder_config(const Sizes& sizes, const char* type, const char* architecture);

}  // namespace qkv
