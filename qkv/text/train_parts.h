// What the trainers share.
#pragma once

#include "qkv/text/train.h"
#include "qkv/text/vocabulary.h"

#include <map>
#include <string>
#include <vector>

namespace qkv {

constexpr const char* where_training = "tokenizer train";  // of errors

// Throws Error for text that is not valid UTF-8.
void check_training_texts(std::span<const std::string_view> texts);

void report(const TrainOptions& options, std::string_view stage, int64_t done, int64_t total);

Json vocabulary_json(const Vocabulary& vocabulary);

// The tokenizer of a model and the `parts` around it ("normalizer", "pre_tokenizer", ...), with the special tokens; the
// first one ends a text, unless it is [PAD], [UNK], [CLS], [SEP] or [MASK], which have BERT's roles. `unknown` is
// special.
Tokenizer assemble(const Json& model, const Json& parts, const TrainOptions& options, const std::string& unknown = "");

// The pieces that the "normalizer" and "pre_tokenizer" of `parts` make of the texts, and how often each comes. The
// steps must treat white space as a boundary: each different word between two spaces is looked at once.
std::map<std::string, int64_t> count_pieces(std::span<const std::string_view> texts, const Json& parts);

}  // namespace qkv
