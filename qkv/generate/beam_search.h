// Beam search with the scoring and stopping rules of transformers.
#pragma once

#include "qkv/generate/decoding.h"

namespace qkv {

// `decoding` holds the prompts, one row each; `limit` is how many tokens may be added.
std::vector<std::vector<Continuation>> beam_search(Decoding& decoding, const std::vector<std::vector<int32_t>>& prompts,
                                                   const GenerationOptions& options, int64_t limit);

}  // namespace qkv
