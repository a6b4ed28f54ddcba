// A tokenizer made from the text that a model will learn.
#pragma once

#include "qkv/data/sources.h"
#include "qkv/text/tokenizer.h"

namespace qkv {

// kind: "bpe" (of vocab_size tokens), "char" or "byte". The end-of-text token separates documents; for masked language
// modelling there are also BERT's special tokens.
Tokenizer new_tokenizer(const std::string& kind, int64_t vocab_size, const Sources& sources, bool masked);

}  // namespace qkv
