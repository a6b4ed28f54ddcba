// What a model's head is for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace qkv {

enum class Task : uint8_t {
  features,  // no head: hidden states
  causal_lm,
  sequence_to_sequence,  // the language model of a decoder that reads an encoder's output
  masked_lm,
  pretraining,  // masked LM and next sentence
  sequence_classification,
  token_classification,
  question_answering,
  multiple_choice,
  retrieval,        // vectors of queries and of documents (RetriBERT)
  replaced_tokens,  // which tokens a generator put there (ELECTRA)
};

// From a Hugging Face class name by its ending ("...ForMaskedLM", "...LMHeadModel", "...Model"). Throws Error for an
// ending that is none of these.
Task task_of_architecture(std::string_view class_name, std::string_view where);
std::string_view name_of(Task task);

}  // namespace qkv
