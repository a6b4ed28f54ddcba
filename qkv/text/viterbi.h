// The best segmentation under a unigram language model (Kudo, "Subword regularization", 2018).
#pragma once

#include "qkv/text/token_model.h"
#include "qkv/text/trie.h"
#include "qkv/text/unicode.h"

#include <algorithm>
#include <string_view>
#include <vector>

namespace qkv {

constexpr float unknown_penalty = 10;  // of a character without a piece: below the lowest score

// The pieces of `text` with the largest sum of scores, in order. `score(id, bytes)` is a piece's score; a character
// that no piece begins and ends with costs `unknown_score` and gives `unknown`. Sums are kept as Sum, which decides
// ties; of equals the one found first stays, that is the one whose last piece is longest.
template <typename Sum, typename Score>
void best_segmentation(std::string_view text, const Trie& pieces, Score&& score, int32_t unknown, Sum unknown_score,
                       std::vector<ModelToken>& out) {
  struct Node {
    Sum score = 0;
    int32_t id = 0;
    int32_t begin = -1;  // of the best path's last piece
  };
  thread_local std::vector<Node> best;  // by the position where a path ends
  best.assign(text.size() + 1, {});
  const char* const end = text.data() + text.size();
  for (uint32_t at = 0; at < text.size();) {
    const Sum here = best[at].score;
    const auto length = static_cast<uint32_t>(utf8_length(text[at]));
    bool has_single = false;
    const auto offer = [&](uint32_t bytes, Sum sum, int32_t id) {
      Node& node = best[at + bytes];
      if (node.begin >= 0 && !(sum > node.score)) return;
      node = {sum, id, static_cast<int32_t>(at)};
    };
    pieces.for_each_prefix(text.data() + at, end, [&](uint32_t bytes, int32_t id) {
      offer(bytes, static_cast<Sum>(score(id, bytes) + here), id);
      has_single |= bytes == length;
    });
    if (!has_single) offer(length, unknown_score + here, unknown);
    at += length;
  }
  const size_t first = out.size();
  for (auto at = static_cast<int32_t>(text.size()); at > 0; at = best[at].begin)
    out.push_back({best[at].id, static_cast<uint32_t>(best[at].begin), static_cast<uint32_t>(at)});
  std::reverse(out.begin() + static_cast<ptrdiff_t>(first), out.end());
  // A large text's array does not stay.
  if (best.size() > size_t{1} << 20) std::vector<Node>().swap(best);
}

}  // namespace qkv
