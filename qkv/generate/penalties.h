// What changes the scores of tokens by what has been said already.
#pragma once

#include "qkv/generate/options.h"

#include <span>

namespace qkv {

// Applies the penalties, the bans (repeated n-grams, bad words, what is not allowed here), the hold on end tokens and
// the forced tokens to `scores` [V] (logits or log probabilities). `ids` is the sequence so far, its first `prompt` ids
// given and the others generated.
void apply_penalties(std::span<float> scores, std::span<const int32_t> ids, size_t prompt,
                     const GenerationOptions& options);

}  // namespace qkv
