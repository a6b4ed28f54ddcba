// Adaptive embeddings as Hugging Face configurations spell them: "cutoffs", "d_embed", "div_val", "tie_projs".
#pragma once

#include "qkv/models/config.h"
#include "qkv/nn/adaptive.h"

namespace qkv {

// `predicts`: the model has a language-model head, which shares the tables.
AdaptiveSpec adaptive_spec(const Config& config, bool predicts);

}  // namespace qkv
