// How often each word stands in a text.
#pragma once

#include "qkv/text/hash.h"

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace qkv {

// A hash table whose keys point into the text.
class WordCounts {
 public:
  struct Entry {
    std::string_view word;
    int64_t count = 0;  // 0: empty slot
  };

  void add(std::string_view word, int64_t count);
  void add(const WordCounts& other);

  size_t size() const { return size_; }
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const Entry& entry : slots_)
      if (entry.count > 0) visit(entry);
  }

 private:
  Entry& slot(std::string_view word);
  void grow();

  std::vector<Entry> slots_;
  size_t size_ = 0;
};

// Counts the pieces of GPT-2's pattern in texts of valid UTF-8, line by line, on all threads.
WordCounts count_words(std::span<const std::string_view> texts);

}  // namespace qkv
