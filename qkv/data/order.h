// The order in which items are visited: a function of the position, never a stored list.
#pragma once

#include "qkv/core/random.h"

#include <cstdint>
#include <string_view>

namespace qkv {

// A bijection of [0, size) chosen by the key: a Feistel network over the next even number of bits, walked along its
// cycle until it lands inside (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
class Permutation {
 public:
  Permutation(int64_t size, RandomKey key);
  int64_t operator()(int64_t index) const;  // 0 <= index < size

 private:
  uint64_t encrypt(uint64_t value) const;

  uint64_t size_;
  int half_bits_;
  RandomKey key_;
};

class Order {
 public:
  // Every item once an epoch, each epoch shuffled anew: sample s is in epoch s / items.
  static Order shuffled(int64_t items, RandomKey key);
  // Items in their own order, once; at most `limit` of them (0: all), spread evenly.
  static Order in_turn(int64_t items, int64_t limit = 0);

  int64_t samples() const { return samples_; }  // in an epoch
  bool endless() const { return shuffled_; }
  int64_t operator()(int64_t sample) const;  // the item at a place in the order

  // Samples in batches of `rows`: how many batches an epoch has, rounded up, and how many rows batch n has, fewer in
  // the last one of an order that ends. Throws Error (naming `what` is visited) where there is no batch n.
  int64_t batches(int64_t rows) const { return (samples_ + rows - 1) / rows; }
  int64_t rows_of(int64_t n, int64_t rows, std::string_view what) const;

 private:
  Order(int64_t items, int64_t samples, bool shuffled, RandomKey key)
      : items_(items), samples_(samples), shuffled_(shuffled), key_(key) {}
  int64_t items_, samples_;
  bool shuffled_;
  RandomKey key_;
};

}  // namespace qkv
