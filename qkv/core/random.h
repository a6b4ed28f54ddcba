// Counter-based random numbers: a value is a pure function of (seed, stream, counter), so that threads,
// restarts and recomputation in activation checkpoints all draw the same.
#pragma once

#include <array>
#include <cstdint>

namespace qkv {

// Names one sequence of random numbers. `stream` keeps uses apart: a layer, a step, an epoch.
struct RandomKey {
  uint64_t seed = 0;
  uint64_t stream = 0;

  // A key for a sub-sequence; distinct indices give independent sequences.
  RandomKey child(uint64_t index) const;
};

// Philox-4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): four 32-bit words.
std::array<uint32_t, 4> philox(RandomKey key, uint64_t counter);

// The sequence of a key, read in order.
class Random {
 public:
  explicit Random(RandomKey key) : key_(key) {}
  uint32_t bits();
  double uniform();                // [0, 1), 53 bits
  double normal();                 // mean 0, variance 1 (Box-Muller)
  uint64_t below(uint64_t bound);  // [0, bound), unbiased; bound > 0

 private:
  RandomKey key_;
  uint64_t counter_ = 0;
  std::array<uint32_t, 4> block_{};
  int left_ = 0;
  double spare_ = 0;
  bool has_spare_ = false;
};

// The dropout decision for element `index` is dropout_hash(key, index) < threshold. Two rounds of a 32-bit
// multiply-xorshift mixer (Wellons' "lowbias32" shape): enough for masks, and four instructions a lane in SIMD.
constexpr uint32_t dropout_hash(uint32_t key, uint32_t index) {
  uint32_t x = index ^ key;
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  x ^= x >> 16;
  return x;
}

// Folds a key into the 32 bits that dropout_hash takes.
uint32_t dropout_key(RandomKey key);

}  // namespace qkv
