// The loop that finds BPE merges.
#pragma once

#include "qkv/text/vocabulary.h"

#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace qkv {

struct BpeMerges {
  Vocabulary vocabulary;
  std::vector<std::pair<int32_t, int32_t>> merges;
};

// A text's words as tokens of a vocabulary, and how often each stands there.
class TokenWords {
 public:
  void add(std::span<const int32_t> tokens, int64_t count);

 private:
  friend class MergeSearch;
  struct Word {
    size_t begin;
    uint32_t length;
    int64_t count;
  };
  std::vector<Word> words_;
  std::vector<int32_t> tokens_;  // of all words
};

struct MergeOptions {
  int64_t vocab_size = 0;
  int64_t min_frequency = 0;
  std::string continuing_prefix;  // what the second token of a pair may begin with, which the joined token leaves out
  std::function<void(int64_t tokens)> progress;  // may be empty
};

// Merges the most frequent pair of neighbouring tokens, of equals the one with the smallest ids, until `vocab_size`
// tokens are there or no pair is seen `min_frequency` times. `vocabulary` holds the special tokens and the alphabet.
BpeMerges find_merges(TokenWords words, Vocabulary vocabulary, const MergeOptions& options);

}  // namespace qkv
