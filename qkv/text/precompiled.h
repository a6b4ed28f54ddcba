// SentencePiece's character map as the Hugging Face library applies it.
#pragma once

#include "qkv/text/aligned_text.h"
#include "qkv/text/charsmap.h"

namespace qkv {

// Rewrites each grapheme cluster of up to five bytes by the shortest rule at its start, whole, and the characters of
// the others one by one. (SentencePiece itself takes the longest rule at each position; where the two differ, published
// tokenizer.json files mean this.)
void apply_by_grapheme(const Charsmap& map, AlignedText& text);

std::string encode_base64(std::string_view bytes);

// The bytes that base64 text stands for; false when it is not base64.
bool decode_base64(std::string_view text, std::string& bytes);

}  // namespace qkv
