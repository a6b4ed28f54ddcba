// A tokenizer made from the text that a model will learn.
#pragma once

#include "qkv/data/sources.h"
#include "qkv/text/tokenizer.h"

namespace qkv {

// kind: "bpe" (of vocab_size tokens), "char" or "byte". The special tokens get the first ids (of bytes, those behind
// them); their names give them their roles.
Tokenizer new_tokenizer(const std::string& kind, int64_t vocab_size, const Sources& sources,
                        std::vector<std::string> special_tokens);

}  // namespace qkv
