// How a client wants text to be written: the fields that completions and chats share.
#pragma once

#include "qkv/serve/fields.h"
#include "qkv/serve/served_model.h"
#include "qkv/tasks/full_context.h"

namespace qkv {

struct Writing {
  GenerationOptions options;
  int64_t count = 1;      // continuations given back
  int64_t likeliest = 0;  // alternatives told for each token
  bool log_probabilities = false;
  bool stream = false;
  bool tell_usage = false;  // at the end of a stream
  std::string form;         // the field that says what form the text has
  FullContext when_full = FullContext::refuse;
  std::string prompt_field = "prompt";  // which the prompt comes from
  // Of the text that is written, once its prompt fits.
  Overflow overflow() const { return when_full == FullContext::slide ? Overflow::slide : Overflow::refuse; }
};

// OpenAI's temperature, top_p, n, stop, seed, presence_penalty, frequency_penalty, logit_bias, stream, stream_options;
// and top_k, min_p, typical_p, repetition_penalty, ignore_eos, overflow beside them. Without a seed, each call draws
// its own. What is left out is as the checkpoint has it, or else OpenAI's. options.max_new_tokens is left to the
// caller.
Writing read_writing(Fields& fields, const ServedModel& model);

}  // namespace qkv
