// Rotary settings as configurations spell them: "rope_theta" and "rope_scaling" (transformers 4; GPT-NeoX:
// "rotary_emb_base" and "rotary_pct") or "rope_parameters".
#pragma once

#include "qkv/models/config.h"
#include "qkv/nn/rotary.h"

namespace qkv {

// `partial`: the family's share of the head that turns, where the configuration does not say.
RotarySpec rotary_spec(const Config& config, int64_t head_dim, int64_t max_positions, double partial = 1);

}  // namespace qkv
