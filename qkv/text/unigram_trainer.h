// The search for the pieces of a unigram language model (Kudo, "Subword regularization", 2018, section 3.2).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace qkv {

struct ScoredPiece {
  std::string text;
  double score;  // log-probability
};

// At most `size` pieces, best first, for words of valid UTF-8 and their counts. Every character of the words is among
// them, even beyond `size`.
std::vector<ScoredPiece> train_unigram_pieces(const std::map<std::string, int64_t>& words, int64_t size,
                                              const std::function<void(int64_t pieces)>& progress);

}  // namespace qkv
