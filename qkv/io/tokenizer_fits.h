// Whether a tokenizer and a model belong together.
#pragma once

#include "qkv/text/tokenizer.h"

#include <cstdint>
#include <string>

namespace qkv {

// Throws Error naming `where` and the first token beyond the model's vocabulary, and whether it is the vocabulary that
// is too large or special tokens that were added behind it.
void check_tokenizer_fits(const Tokenizer& tokenizer, int64_t model_vocabulary, const std::string& where);

}  // namespace qkv
