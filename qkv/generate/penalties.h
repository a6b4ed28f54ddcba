// What changes the scores of tokens by what has been said already.
#pragma once

#include "qkv/generate/options.h"

#include <span>
#include <vector>

namespace qkv {

// Applies the penalties, the bans (repeated n-grams, bad words, what is not allowed here), the hold on end tokens and
// the forced tokens to `scores` [V] (logits or log probabilities). `ids` is the sequence so far, its first `prompt` ids
// given and the others generated.
void apply_penalties(std::span<float> scores, std::span<const int32_t> ids, size_t prompt,
                     const GenerationOptions& options);

// Whether apply_penalties() could change any score.
bool penalises(const GenerationOptions& options);

// Bans all tokens but these.
void allow_only(std::span<float> scores, std::span<const int32_t> tokens);

// What is known of a next token.
struct NextScores {
  std::vector<float> log_probabilities;  // under the model, [V]
  std::vector<float> scores;             // the logits after the penalties, [V]
};

// The scores for the token that follows `ids`. Where the bans leave nothing, they do not hold. Throws Error for logits
// that are not finite.
NextScores next_scores(std::span<const float> logits, std::span<const int32_t> ids, size_t prompt,
                       const GenerationOptions& options);

}  // namespace qkv
