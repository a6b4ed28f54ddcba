#include "qkv/text/alignment.h"

#include "qkv/core/error.h"
#include "qkv/text/unicode.h"

#include <algorithm>
#include <numeric>

namespace qkv {
namespace {

std::vector<int32_t> in_order_of_begin(std::span<const CharSpan> spans) {
  std::vector<int32_t> order(spans.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return spans[a].first < spans[b].first; });
  return order;
}

}  // namespace

Alignment align(std::span<const CharSpan> words, std::span<const CharSpan> pieces) {
  Alignment out;
  out.pieces_of_word.resize(words.size());
  out.words_of_piece.resize(pieces.size());
  const std::vector<int32_t> word_order = in_order_of_begin(words), piece_order = in_order_of_begin(pieces);
  // A sweep over the text: `open` are the words that begin before the piece's end and reach beyond earlier pieces'
  // begins.
  std::vector<int32_t> open;
  size_t next = 0;
  for (const int32_t piece : piece_order) {
    const int32_t begin = pieces[piece].first, end = pieces[piece].second;
    while (next < word_order.size() && words[word_order[next]].first < end) open.push_back(word_order[next++]);
    std::erase_if(open, [&](int32_t word) { return words[word].second <= begin; });
    for (const int32_t word : open) {
      const bool shares = std::max(words[word].first, begin) < std::min(words[word].second, end);
      if (!shares) continue;
      out.pieces_of_word[word].push_back(piece);
      out.words_of_piece[piece].push_back(word);
    }
  }
  for (auto* lists : {&out.pieces_of_word, &out.words_of_piece})
    for (auto& list : *lists) std::sort(list.begin(), list.end());
  return out;
}

std::vector<CharSpan> find_words(std::string_view text, std::span<const std::string> words) {
  require_utf8(text, "text");
  std::vector<CharSpan> out;
  size_t at = 0;
  int64_t character = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    require_utf8(words[i], fmt::format("word {}", i));
    const size_t found = text.find(words[i], at);
    if (found == std::string_view::npos)
      throw Error("align", fmt::format("word {} ('{}') is not in the text behind the words before it", i, words[i]),
                  "give the words as the text spells them, in its order");
    const int64_t begin = character + count_code_points(text.substr(at, found - at));
    character = begin + count_code_points(words[i]);
    out.emplace_back(static_cast<int32_t>(begin), static_cast<int32_t>(character));
    at = found + words[i].size();
  }
  return out;
}

}  // namespace qkv
