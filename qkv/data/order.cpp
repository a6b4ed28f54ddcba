#include "qkv/data/order.h"

#include "qkv/core/error.h"

#include <algorithm>
#include <bit>

namespace qkv {

Permutation::Permutation(int64_t size, RandomKey key) : size_(static_cast<uint64_t>(size)), key_(key) {
  half_bits_ = std::max(1, (static_cast<int>(std::bit_width(size_ > 0 ? size_ - 1 : 0)) + 1) / 2);
}

uint64_t Permutation::encrypt(uint64_t value) const {
  constexpr uint64_t rounds = 6;
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t left = value >> half_bits_;
  uint64_t right = value & mask;
  for (uint64_t round = 0; round < rounds; ++round) {
    const auto words = philox(key_, (round << half_bits_) | right);
    const uint64_t mixed = left ^ (words[0] & mask);
    left = right;
    right = mixed;
  }
  return (left << half_bits_) | right;
}

int64_t Permutation::operator()(int64_t index) const {
  uint64_t value = static_cast<uint64_t>(index);
  do {
    value = encrypt(value);
  } while (value >= size_);
  return static_cast<int64_t>(value);
}

Order Order::shuffled(int64_t items, RandomKey key) { return {items, items, true, key}; }

Order Order::in_turn(int64_t items, int64_t limit) {
  return {items, limit > 0 ? std::min(limit, items) : items, false, {}};
}

int64_t Order::operator()(int64_t sample) const {
  if (shuffled_) return Permutation(items_, key_.child(static_cast<uint64_t>(sample / items_)))(sample % items_);
  return static_cast<int64_t>(static_cast<__int128>(sample) * items_ / samples_);
}

int64_t Order::rows_of(int64_t n, int64_t rows, std::string_view what) const {
  if (endless()) return rows;
  const int64_t left = samples_ - n * rows;
  if (n < 0 || left <= 0)
    throw Error(what, fmt::format("has {} batches, not a batch {}", batches(rows), n), "", Error::Kind::internal);
  return std::min(rows, left);
}

}  // namespace qkv
