// What a run teaches, and the batches and tokens that it takes.
#pragma once

#include "qkv/data/batch.h"
#include "qkv/data/token_stream.h"
#include "qkv/text/tokenizer.h"
#include "tools/support/train_run.h"

#include <memory>

namespace qkv {

enum class Objective : uint8_t {
  causal,    // the next token
  masked,    // some tokens out of the others (BERT)
  permuted,  // tokens in a random order, each out of those before it in that order (XLNet)
  spans,     // what is missing from a text (T5, BART)
};

// By the run's option, or what the model is for. Throws Error for one that the model cannot learn.
Objective objective_of(const TrainRun& run, const Spec& spec);

// The special tokens of a tokenizer made for it; rows have `context` tokens.
std::vector<std::string> special_tokens_for(Objective objective, int64_t context);

// Rows of up to `length` tokens; pairs of segments where the model also tells whether the second follows the first
// (BERT's pretraining). Throws Error for a tokenizer that lacks a token which the objective needs.
std::unique_ptr<Batches> batches_for(Objective objective, const TrainRun& run, const Spec& spec,
                                     const TokenStream& stream, const Tokenizer& tokenizer, int64_t length,
                                     bool evaluation);

}  // namespace qkv
