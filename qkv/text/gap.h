// Filling a gap in a text: the tokens with which models of code are asked for the middle (Bavarian et al. 2022,
// "Efficient Training of Language Models to Fill in the Middle").
#pragma once

#include "qkv/text/tokenizer.h"

namespace qkv {

struct GapTokens {
  int32_t prefix = 0, suffix = 0, middle = 0;  // stand before the text's beginning, its end, and the answer
  std::vector<int32_t> ends;                   // what a model writes behind the middle, beside its end of text
};

// By their usual names (Qwen-Coder, StarCoder, CodeGemma, CodeLlama, DeepSeek-Coder, ...), or those that
// tokenizer_config.json gives as "prefix_token", "suffix_token" and "middle_token" (from a GGUF file: its fim_pre,
// fim_suf and fim_mid ids). Nothing where the tokenizer lacks one of the three.
std::optional<GapTokens> gap_tokens(const Tokenizer& tokenizer);

// prefix BEFORE suffix AFTER middle, with the special tokens around it that the tokenizer puts there. `before` are ids
// without special tokens.
std::vector<int32_t> gap_prompt(const Tokenizer& tokenizer, const GapTokens& gap, std::span<const int32_t> before,
                                std::string_view after);

}  // namespace qkv
