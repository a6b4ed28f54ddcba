// Work that threads take piece by piece.
#pragma once

#include "qkv/core/threads.h"

#include <atomic>
#include <cstdint>
#include <vector>

namespace qkv {

// [0, count) shared out evenly among `parts` threads. Each takes its share from the front, piece by piece, so that it
// reads memory in one stream; one that has done with its share takes half of what is left of the largest other. Pieces
// hold `least` or more, but for the last of a share. count < 2^32.
class WorkShares {
 public:
  struct Range {
    int64_t begin = 0, end = 0;
  };

  WorkShares(int64_t count, int64_t parts, int64_t least);
  // A piece for part p to do; an empty one when nothing is left. May be called by all parts at once, by each from one
  // thread at a time.
  Range take(int64_t part);

 private:
  struct alignas(64) Share {
    std::atomic<uint64_t> left = 0;  // begin in the upper half, end in the lower: both change at once
  };

  bool take_over(Share& own);

  std::vector<Share> shares_;
  int64_t least_;
};

// As parallel_for, but one thread that is held up does not keep the others waiting. Which thread does which range is
// left to chance: the result must not depend on it.
template <typename Body>
void parallel_tasks(int64_t count, int64_t grain, Body&& body) {
  const int64_t least = std::max<int64_t>(1, grain);
  const int64_t parts = std::min<int64_t>(threads(), (count + least - 1) / least);
  if (parts <= 1) {
    if (count > 0) body(int64_t{0}, count);
    return;
  }
  WorkShares shares(count, parts, least);
  parallel_for(parts, 1, [&](int64_t first, int64_t last) {
    for (int64_t part = first; part < last; ++part)
      for (WorkShares::Range piece = shares.take(part); piece.begin < piece.end; piece = shares.take(part))
        body(piece.begin, piece.end);
  });
}

}  // namespace qkv
