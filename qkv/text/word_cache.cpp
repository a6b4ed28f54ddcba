#include "qkv/text/word_cache.h"

namespace qkv {

bool WordCache::find_long(const Key& key, std::vector<int32_t>& out) const {
  if (long_.empty()) return false;
  const LongEntry& entry = long_[key.hash() & (long_slots - 1)];
  if (entry.word != key.word) return false;
  out.insert(out.end(), arena_.begin() + entry.first_id, arena_.begin() + entry.first_id + entry.count);
  return true;
}

uint32_t WordCache::store(std::span<const int32_t> ids) {
  const auto first = static_cast<uint32_t>(arena_.size());
  arena_.insert(arena_.end(), ids.begin(), ids.end());
  return first;
}

void WordCache::insert(const Key& key, std::span<const int32_t> ids) {
  if (key.word.empty() || key.word.size() > longest_word) return;
  if (arena_.size() + ids.size() > arena_limit) *this = {};
  if (!key.is_short()) {
    if (long_.empty()) long_.resize(long_slots);
    long_[key.hash() & (long_slots - 1)] = {std::string(key.word), store(ids), static_cast<uint32_t>(ids.size())};
    return;
  }
  if (buckets_.empty()) buckets_.resize(short_buckets);
  ShortEntry entry{key.low, key.high, {}, static_cast<uint32_t>(ids.size())};
  if (ids.size() <= inline_ids) {
    std::copy(ids.begin(), ids.end(), entry.ids);
  } else {
    entry.ids[0] = static_cast<int32_t>(store(ids));
  }
  Bucket& bucket = buckets_[key.hash() & (short_buckets - 1)];
  bucket.entries[1] = bucket.entries[0];
  bucket.entries[0] = entry;
}

}  // namespace qkv
