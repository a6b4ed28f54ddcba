// Which pieces of a tokenizer make up a word, and which words a piece belongs to.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qkv {

// [begin, end) in code points of a text, as Encoding::offsets has them.
using CharSpan = std::pair<int32_t, int32_t>;

// Both directions, indices in increasing order. A word without a piece (white space, or characters that a normalizer
// dropped) and a piece without a word (special tokens) have an empty list.
struct Alignment {
  std::vector<std::vector<int32_t>> pieces_of_word;
  std::vector<std::vector<int32_t>> words_of_piece;

  // The word's first piece, or -1: where taggers read a word's label.
  int32_t first_piece(size_t word) const { return pieces_of_word[word].empty() ? -1 : pieces_of_word[word].front(); }
};

// A word and a piece belong together when they share a character. Spans may overlap, be empty, and come in any order.
Alignment align(std::span<const CharSpan> words, std::span<const CharSpan> pieces);

// Where the words stand in `text`, each behind the one before. Throws Error naming the first that is not there, and for
// invalid UTF-8.
std::vector<CharSpan> find_words(std::string_view text, std::span<const std::string> words);

}  // namespace qkv
