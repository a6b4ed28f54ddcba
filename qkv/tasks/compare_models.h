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

// The first `tokens` tokens of a text, to compare a model on that is yet to be made from this one. Throws Error unless
// it is a causal language model, and for a text of less than two tokens.
std::vector<int32_t> ids_to_compare_on(const TextModel& before, std::string_view text, int64_t tokens);

// Over ids_to_compare_on(), in windows of at most 512. Throws Error unless both are causal language models of one
// vocabulary.
ModelDifference compare_models(const TextModel& before, const TextModel& after, std::span<const int32_t> ids);

}  // namespace qkv
