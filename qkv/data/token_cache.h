// Tokenises a corpus once and keeps the result.
#pragma once

#include "qkv/data/sources.h"
#include "qkv/data/token_stream.h"

namespace qkv {

// What the cache needs to know of a tokeniser.
struct Encoder {
  std::function<std::vector<int32_t>(std::string_view text)> encode;  // adds no special tokens; called from any thread
  int64_t vocabulary = 0;                                             // every id is below
  int64_t end_of_text = -1;                                           // put between documents; -1: nothing is
  uint64_t fingerprint = 0;                                           // changes whenever the ids could
  // encode(a + b) = encode(a) + encode(b) where a ends in a line feed between two ASCII characters that are not white
  // space: then long texts are cut there and encoded in parallel. True of byte-level BPE, WordPiece, characters and
  // bytes; not of tokenisers that mark the beginning of a text.
  bool cut_at_lines = false;
};

struct CacheReport {
  std::function<void(std::string_view)> note;                    // one line: built, reused, or why it is built again
  std::function<void(uint64_t bytes, uint64_t total)> progress;  // while building
};

// The corpus as tokens, from `cache` if that was made from the same tokeniser and the same files (paths, sizes and
// times of change), else tokenised on all threads and written there. A damaged or outdated cache is built again. Throws
// Error for what is wrong with the texts (sources.h) or the disk.
TokenStream cached_tokens(const fs::path& cache, const Sources& sources, const Encoder& encoder,
                          const CacheReport& report = {});

}  // namespace qkv
