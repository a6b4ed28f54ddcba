#include "qkv/text/word_counts.h"

#include "qkv/core/threads.h"
#include "qkv/text/scanner.h"

#include <mutex>

namespace qkv {

WordCounts::Entry& WordCounts::slot(std::string_view word) {
  const size_t mask = slots_.size() - 1;
  size_t at = hash_bytes(word) & mask;
  while (slots_[at].count > 0 && slots_[at].word != word) at = (at + 1) & mask;
  return slots_[at];
}

void WordCounts::grow() {
  std::vector<Entry> old(std::max<size_t>(1 << 12, slots_.size() * 2));
  std::swap(old, slots_);
  for (const Entry& entry : old)
    if (entry.count > 0) slot(entry.word) = entry;
}

void WordCounts::add(std::string_view word, int64_t count) {
  if (size_ * 2 >= slots_.size()) grow();
  Entry& entry = slot(word);
  size_ += entry.count == 0;
  entry.word = word;
  entry.count += count;
}

void WordCounts::add(const WordCounts& other) {
  other.for_each([&](const Entry& entry) { add(entry.word, entry.count); });
}

namespace {

constexpr size_t chunk_size = 1 << 20;

// Parts of about a mebibyte that end at line ends.
std::vector<std::string_view> chunks_of(std::span<const std::string_view> texts) {
  std::vector<std::string_view> chunks;
  for (std::string_view text : texts) {
    while (!text.empty()) {
      size_t end = text.size() > chunk_size ? text.find('\n', chunk_size) : std::string_view::npos;
      end = end == std::string_view::npos ? text.size() : end + 1;
      chunks.push_back(text.substr(0, end));
      text.remove_prefix(end);
    }
  }
  return chunks;
}

void count_lines(std::string_view text, const Scanner& scanner, WordCounts& counts) {
  const char* const end = text.data() + text.size();
  for (const char* line = text.data(); line < end;) {
    const void* const newline = std::memchr(line, '\n', end - line);
    const char* const line_end = newline ? static_cast<const char*>(newline) + 1 : end;
    while (line < line_end) {
      const char* const next = scanner.next_gpt2(line, line_end);
      counts.add({line, static_cast<size_t>(next - line)}, 1);
      line = next;
    }
  }
}

}  // namespace

WordCounts count_words(std::span<const std::string_view> texts) {
  const std::vector<std::string_view> chunks = chunks_of(texts);
  const Scanner scanner(Pattern::gpt2);
  WordCounts total;
  std::mutex mutex;
  parallel_for(static_cast<int64_t>(chunks.size()), 1, [&](int64_t begin, int64_t end) {
    WordCounts counts;
    for (int64_t i = begin; i < end; ++i) count_lines(chunks[i], scanner, counts);
    const std::lock_guard lock(mutex);
    total.add(counts);
  });
  return total;
}

}  // namespace qkv
