// DeBERTa's relative positions as Hugging Face configurations spell them.
#pragma once

#include "qkv/models/config.h"
#include "qkv/nn/stack.h"

namespace qkv {

// Reads "relative_attention", "pos_att_type" and what goes with them into the stack's attention and its distances, and
// the scale of the scores, which counts the terms.
void set_disentangled_positions(const Config& config, StackSpec& stack);

}  // namespace qkv
