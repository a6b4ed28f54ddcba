// Rotary settings as configurations spell them: "rope_theta" and "rope_scaling" (transformers 4) or "rope_parameters".
#pragma once

#include "qkv/models/config.h"
#include "qkv/nn/rotary.h"

namespace qkv {

RotarySpec rotary_spec(const Config& config, int64_t head_dim, int64_t max_positions);

}  // namespace qkv
