#include "qkv/cuda/staged_copies.h"

#include <cstring>

namespace qkv::cuda {

bool StagedCopies::begin() {
  if (memory_ == nullptr && !refused_) {
    memory_ = static_cast<char*>(driver_.pinned(pieces * piece_bytes));
    refused_ = memory_ == nullptr;
  }
  return memory_ != nullptr;
}

bool StagedCopies::copy(void* to, const void* from, size_t bytes) {
  constexpr size_t alignment = 256;
  if (bytes > piece_bytes) return false;
  const std::lock_guard lock(mutex_);
  if (!begin()) return false;
  if (used_ + bytes > piece_bytes) {
    driver_.mark(piece_);
    piece_ = (piece_ + 1) % pieces;
    driver_.wait(piece_);
    used_ = 0;
  }
  char* const place = memory_ + static_cast<size_t>(piece_) * piece_bytes + used_;
  std::memcpy(place, from, bytes);
  driver_.copy(to, place, bytes);
  used_ += (bytes + alignment - 1) / alignment * alignment;
  return true;
}

}  // namespace qkv::cuda
