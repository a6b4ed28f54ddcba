// Choosing the next token from its scores.
#pragma once

#include "qkv/core/random.h"
#include "qkv/generate/options.h"

#include <span>

namespace qkv {

// The index of the largest score; the first of equals.
int32_t argmax(std::span<const float> scores);

// log softmax in place.
void to_log_probabilities(std::span<float> scores);

// log softmax(logits)[token]. NaN where a logit is NaN or the largest is infinite.
float log_probability(std::span<const float> logits, int32_t token);

// Draws a token: temperature, then top-k, top-p, min-p and typical cuts in transformers' order, then one uniform
// number.
int32_t sample_token(std::span<const float> logits, const GenerationOptions& options, double uniform);

}  // namespace qkv
