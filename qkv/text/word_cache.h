// The tokens of words seen before. Natural text repeats its words, so most pieces are one look-up.
#pragma once

#include "qkv/text/hash.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

// Bounded: a new word takes the place of an older one with the same bucket. Belongs to one thread at a time.
class WordCache {
 public:
  static constexpr size_t longest_word = 255;

  // A word and its hash, from text that may be read up to `readable` (which makes the common case two loads).
  struct Key {
    uint64_t low;
    uint64_t high;  // the length in the top byte
    std::string_view word;
    uint64_t hash() const { return mix(low, high); }
    bool is_short() const { return word.size() < 16; }
  };
  static Key key(std::string_view word, const char* readable);

  // The ids of the word; false when it is not there. Appends to `out`.
  bool find(const Key& key, std::vector<int32_t>& out) const {
    return key.is_short() ? find_short(key, out) : find_long(key, out);
  }
  void insert(const Key& key, std::span<const int32_t> ids);

 private:
  static constexpr size_t short_buckets = 1 << 15;
  static constexpr size_t long_slots = 1 << 13;
  static constexpr size_t inline_ids = 3;
  static constexpr size_t arena_limit = 1 << 20;

  struct ShortEntry {
    uint64_t low = 0;
    uint64_t high = 0;          // 0: empty
    int32_t ids[inline_ids]{};  // or, for more, the first is where they are in the arena
    uint32_t count = 0;
  };
  struct alignas(64) Bucket {
    ShortEntry entries[2];  // the later comer first
  };
  struct LongEntry {
    std::string word;
    uint32_t first_id = 0;
    uint32_t count = 0;
  };

  bool find_short(const Key& key, std::vector<int32_t>& out) const;
  bool find_long(const Key& key, std::vector<int32_t>& out) const;
  uint32_t store(std::span<const int32_t> ids);

  std::vector<Bucket> buckets_;
  std::vector<LongEntry> long_;
  std::vector<int32_t> arena_;
};

inline WordCache::Key WordCache::key(std::string_view word, const char* readable) {
  uint64_t low = 0, high = 0;
  const size_t n = word.size();
  if (n >= 16) return {hash_bytes(word), n, word};
  if (readable - word.data() >= 16) {
    std::memcpy(&low, word.data(), 8);
    std::memcpy(&high, word.data() + 8, 8);
    if (n < 8) {
      low &= (uint64_t{1} << 8 * n) - 1;
      high = 0;
    } else {
      high &= (uint64_t{1} << 8 * (n - 8)) - 1;
    }
  } else {
    std::memcpy(&low, word.data(), n < 8 ? n : 8);
    if (n > 8) std::memcpy(&high, word.data() + 8, n - 8);
  }
  return {low, high | uint64_t{n} << 56, word};
}

inline bool WordCache::find_short(const Key& key, std::vector<int32_t>& out) const {
  if (buckets_.empty()) return false;
  for (const ShortEntry& entry : buckets_[key.hash() & (short_buckets - 1)].entries) {
    if (entry.low != key.low || entry.high != key.high) continue;
    if (entry.count == 1) {
      out.push_back(entry.ids[0]);
    } else if (entry.count <= inline_ids) {
      out.insert(out.end(), entry.ids, entry.ids + entry.count);
    } else {
      const auto first = arena_.begin() + entry.ids[0];
      out.insert(out.end(), first, first + entry.count);
    }
    return true;
  }
  return false;
}

}  // namespace qkv
