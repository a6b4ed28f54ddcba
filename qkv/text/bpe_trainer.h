// The loop that finds BPE merges.
#pragma once

#include "qkv/text/vocabulary.h"
#include "qkv/text/word_counts.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace qkv {

struct BpeMerges {
  Vocabulary vocabulary;  // in byte-level characters
  std::vector<std::pair<int32_t, int32_t>> merges;
};

// Merges the most frequent pair of neighbouring tokens, of equals the one with the smallest ids, until `vocab_size`
// tokens are there or no pair is seen `min_frequency` times. `vocabulary` holds the special tokens and the alphabet.
BpeMerges find_merges(const WordCounts& words, Vocabulary vocabulary, int64_t vocab_size, int64_t min_frequency,
                      const std::function<void(int64_t tokens)>& progress);

}  // namespace qkv
