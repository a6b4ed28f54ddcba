#include "qkv/cuda/staged_copies.h"

#include <algorithm>
#include <cstring>

namespace qkv::cuda {

bool StagedCopies::begin(Pinned& pinned) {
  if (pinned.memory == nullptr && !pinned.refused) {
    const std::lock_guard lock(beginning_);
    pinned.memory = static_cast<char*>(driver_.pinned(pieces * piece_bytes));
    pinned.refused = pinned.memory == nullptr;
  }
  return pinned.memory != nullptr;
}

bool StagedCopies::copy(void* to, const void* from, size_t bytes) {
  constexpr size_t alignment = 256;
  if (bytes > piece_bytes) return false;
  const std::lock_guard lock(up_.mutex);
  if (!begin(up_)) return false;
  if (used_ + bytes > piece_bytes) {
    driver_.mark(piece_);
    piece_ = (piece_ + 1) % pieces;
    driver_.wait(piece_);
    used_ = 0;
  }
  char* const place = up_.memory + static_cast<size_t>(piece_) * piece_bytes + used_;
  std::memcpy(place, from, bytes);
  driver_.copy(to, place, bytes);
  used_ += (bytes + alignment - 1) / alignment * alignment;
  return true;
}

bool StagedCopies::read(void* to, const void* from, size_t bytes) {
  const std::lock_guard lock(down_.mutex);
  if (!begin(down_)) return false;
  const auto place = [&](size_t piece) { return down_.memory + piece % pieces * piece_bytes; };
  const auto size = [&](size_t piece) { return std::min(piece_bytes, bytes - piece * piece_bytes); };
  const auto mark = [](size_t piece) { return pieces + static_cast<int>(piece % pieces); };
  const size_t count = (bytes + piece_bytes - 1) / piece_bytes;
  size_t asked = 0;
  for (size_t piece = 0; piece < count; ++piece) {
    for (; asked < std::min(count, piece + pieces); ++asked) {
      driver_.fetch(place(asked), static_cast<const char*>(from) + asked * piece_bytes, size(asked));
      driver_.mark(mark(asked));
    }
    driver_.wait(mark(piece));
    std::memcpy(static_cast<char*>(to) + piece * piece_bytes, place(piece), size(piece));
  }
  return true;
}

}  // namespace qkv::cuda
