// How far a language model's predictions are from those of the model it was made from.
#pragma once

#include "qkv/tasks/text_model.h"

namespace qkv {

struct ModelDifference {
  int64_t tokens = 0;            // predicted
  double perplexity_before = 0;  // exp(-mean log p(token))
  double perplexity_after = 0;
  double divergence = 0;  // mean KL(before || after), in nats
  double agreement = 0;   // share of places where both think the same token the likeliest
};

// Over at most `tokens` tokens of a text, in windows of at most 512. Throws Error unless both are causal language
// models of one vocabulary, and for a text of less than two tokens.
ModelDifference compare_models(const TextModel& before, const TextModel& after, std::string_view text, int64_t tokens);

}  // namespace qkv
