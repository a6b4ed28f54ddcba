#include "qkv/core/random.h"

#include <cmath>
#include <numbers>

namespace qkv {
namespace {

// splitmix64's output function: spreads consecutive indices over all 64 bits.
uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace

RandomKey RandomKey::child(uint64_t index) const { return {seed, mix(stream ^ mix(index))}; }

std::array<uint32_t, 4> philox(RandomKey key, uint64_t counter) {
  std::array<uint32_t, 4> c = {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32),
                               static_cast<uint32_t>(key.stream), static_cast<uint32_t>(key.stream >> 32)};
  uint32_t k0 = static_cast<uint32_t>(key.seed);
  uint32_t k1 = static_cast<uint32_t>(key.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53U} * c[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57U} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return c;
}

uint32_t Random::bits() {
  if (left_ == 0) {
    block_ = philox(key_, counter_++);
    left_ = 4;
  }
  return block_[4 - left_--];
}

double Random::uniform() {
  const uint64_t high = bits() >> 5;
  const uint64_t low = bits() >> 6;
  return static_cast<double>((high << 26) | low) * 0x1p-53;
}

double Random::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  const double angle = 2.0 * std::numbers::pi * uniform();
  spare_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

uint64_t Random::below(uint64_t bound) {
  // Lemire's multiplication with rejection ("Fast random integer generation in an interval", 2019), on 64 bits.
  const auto draw = [this] { return (uint64_t{bits()} << 32) | bits(); };
  unsigned __int128 product = static_cast<unsigned __int128>(draw()) * bound;
  if (static_cast<uint64_t>(product) < bound) {
    const uint64_t threshold = (0 - bound) % bound;
    while (static_cast<uint64_t>(product) < threshold) product = static_cast<unsigned __int128>(draw()) * bound;
  }
  return static_cast<uint64_t>(product >> 64);
}

uint32_t dropout_key(RandomKey key) {
  const uint64_t mixed = mix(key.seed ^ mix(key.stream));
  return static_cast<uint32_t>(mixed ^ (mixed >> 32));
}

}  // namespace qkv
