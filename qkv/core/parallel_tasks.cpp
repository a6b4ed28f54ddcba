#include "qkv/core/parallel_tasks.h"

namespace qkv {
namespace {

using Range = WorkShares::Range;

uint64_t packed(Range range) { return static_cast<uint64_t>(range.begin) << 32 | static_cast<uint64_t>(range.end); }
Range unpacked(uint64_t both) { return {static_cast<int64_t>(both >> 32), static_cast<int64_t>(both & 0xffffffff)}; }
int64_t length(Range range) { return range.end - range.begin; }

}  // namespace

WorkShares::WorkShares(int64_t count, int64_t parts, int64_t least)
    : shares_(static_cast<size_t>(parts)), least_(least) {
  for (int64_t p = 0; p < parts; ++p)
    shares_[static_cast<size_t>(p)].left.store(packed({count * p / parts, count * (p + 1) / parts}));
}

Range WorkShares::take(int64_t part) {
  Share& own = shares_[static_cast<size_t>(part)];
  do {
    uint64_t seen = own.left.load();
    for (Range left = unpacked(seen); length(left) > 0; left = unpacked(seen)) {
      // A quarter, so that something is left to take over while this one is at work.
      const int64_t middle = std::min(left.end, left.begin + std::max(least_, length(left) / 4));
      if (own.left.compare_exchange_weak(seen, packed({middle, left.end}))) return {left.begin, middle};
    }
  } while (take_over(own));
  return {};
}

bool WorkShares::take_over(Share& own) {
  for (;;) {
    Share* most = nullptr;
    uint64_t seen = 0;
    for (Share& share : shares_) {
      const uint64_t left = share.left.load();
      if (length(unpacked(left)) > length(unpacked(seen))) {
        most = &share;
        seen = left;
      }
    }
    if (most == nullptr) return false;
    const Range left = unpacked(seen);
    const int64_t middle = left.end - std::max(std::min(least_, length(left)), length(left) / 2);
    if (!most->left.compare_exchange_strong(seen, packed({left.begin, middle}))) continue;
    // Nobody else changes a share that is empty.
    own.left.store(packed({middle, left.end}));
    return true;
  }
}

}  // namespace qkv
