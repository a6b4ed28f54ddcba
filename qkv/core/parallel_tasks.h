// Work that threads take piece by piece.
#pragma once

#include "qkv/core/threads.h"

#include <atomic>

namespace qkv {

// As parallel_for, but threads take ranges one after another, so that one that is held up does not keep the others
// waiting. Ranges shrink towards the end, where all should be ready at once. Which thread does which range is left to
// chance: the result must not depend on it.
template <typename Body>
void parallel_tasks(int64_t count, int64_t grain, Body&& body) {
  const int64_t least = std::max<int64_t>(1, grain);
  const int64_t parts = std::min<int64_t>(threads(), (count + least - 1) / least);
  std::atomic<int64_t> next = 0;
  parallel_for(parts, 1, [&](int64_t, int64_t) {
    int64_t begin = next.load();
    while (begin < count) {
      const int64_t end = std::min(count, begin + std::max(least, (count - begin) / (2 * parts)));
      if (!next.compare_exchange_weak(begin, end)) continue;
      body(begin, end);
      begin = next.load();
    }
  });
}

}  // namespace qkv
