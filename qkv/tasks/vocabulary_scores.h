// A language model's scores of its vocabulary at some places of a text.
#pragma once

#include "qkv/tasks/text_model.h"

namespace qkv {

// Calls visit(i, logits) for the place number i of `places`, which are rows of h, [.., D] taken as a matrix. A few rows
// at a time, so that the vocabulary's scores of a long text never exist whole; from several threads.
void visit_vocabulary_scores(const TextModel& model, const Tensor& h, std::span<const int32_t> places,
                             const std::function<void(size_t i, std::span<const float> logits)>& visit);

// log sum exp of the logits: log p(v) = logits[v] - this. Throws Error when it is not finite.
double log_partition(std::span<const float> logits);

}  // namespace qkv
