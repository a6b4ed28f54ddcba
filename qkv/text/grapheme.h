// Grapheme clusters: what a reader takes for one character (Unicode Standard Annex 29).
#pragma once

#include <cstddef>
#include <string_view>

namespace qkv {

// Bytes of the first extended grapheme cluster of valid, non-empty UTF-8.
size_t grapheme_length(std::string_view text);

}  // namespace qkv
