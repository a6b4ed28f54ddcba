// Work that threads take piece by piece.
#pragma once

#include "qkv/core/threads.h"

#include <atomic>

namespace qkv {

// As parallel_for, but threads take ranges one after another, so that one that is held up does not keep the others
// waiting. Which thread does which range is left to chance: the result must not depend on it.
template <typename Body>
void parallel_tasks(int64_t count, int64_t grain, Body&& body) {
  constexpr int64_t ranges_of_a_thread = 8;
  const int64_t range = std::max<int64_t>({1, grain, count / (threads() * ranges_of_a_thread)});
  std::atomic<int64_t> next = 0;
  parallel_for(std::min<int64_t>(threads(), (count + range - 1) / range), 1, [&](int64_t, int64_t) {
    for (int64_t begin = next.fetch_add(range); begin < count; begin = next.fetch_add(range))
      body(begin, std::min(count, begin + range));
  });
}

}  // namespace qkv
