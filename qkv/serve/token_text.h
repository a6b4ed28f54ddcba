// The text of one token in its place.
#pragma once

#include "qkv/text/tokenizer.h"

namespace qkv {

// `begins`: it begins a text, where some tokenizers drop the first space.
std::string token_text(const Tokenizer& tokenizer, int32_t id, bool begins);

}  // namespace qkv
