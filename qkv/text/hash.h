// Hashing for the tables that encoding looks into for every word.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace qkv {

// A 64 x 64 -> 128 bit product folded to 64 bits: every input bit reaches every output bit.
inline uint64_t mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a ^ 0x9E3779B97F4A7C15U) * (b ^ 0xD6E8FEB86659FD93U);
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline uint64_t hash_bytes(std::string_view bytes) {
  uint64_t hash = bytes.size();
  const char* p = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; p += 8, left -= 8) {
    uint64_t chunk;
    std::memcpy(&chunk, p, 8);
    hash = mix(hash, chunk);
  }
  uint64_t tail = 0;
  std::memcpy(&tail, p, left);
  return mix(hash, tail);
}

}  // namespace qkv
