// Documents cut into stretches of at most a row's room.
#pragma once

#include "qkv/data/token_stream.h"

namespace qkv {

class Segments {
 public:
  // Each document gives its stretches of `capacity` tokens, and what is left behind them if it is at least `shortest`.
  // Throws Error when that leaves nothing.
  Segments(const TokenStream& stream, int64_t capacity, int64_t shortest);

  int64_t count() const { return firsts_.back(); }
  struct Segment {
    int64_t document, begin, end;  // [begin, end) in the stream's tokens
  };
  Segment operator[](int64_t item) const;

 private:
  TokenStream stream_;
  int64_t capacity_;
  std::vector<int64_t> firsts_ = {0};  // documents' first segments, and how many there are in all
};

// The stream's tokens [begin, end).
std::vector<int32_t> tokens_of(const TokenStream& stream, int64_t begin, int64_t end);

}  // namespace qkv
