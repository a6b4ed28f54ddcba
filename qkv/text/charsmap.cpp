#include "qkv/text/charsmap.h"

#include "qkv/core/error.h"
#include "qkv/text/unicode.h"

#include <cstring>

namespace qkv {
namespace {

// The bits of a darts-clone unit (S. Yata's format, which SentencePiece writes).
constexpr bool has_leaf(uint32_t unit) { return unit >> 8 & 1; }
constexpr uint32_t value_of(uint32_t unit) { return unit & 0x7FFFFFFF; }
constexpr uint32_t label_of(uint32_t unit) { return unit & 0x800000FF; }
constexpr uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & 1U << 9) >> 6); }

}  // namespace

Charsmap::Charsmap(std::string_view blob, std::string_view where) {
  if (blob.empty()) return;
  uint32_t size = 0;
  if (blob.size() >= 4) std::memcpy(&size, blob.data(), 4);
  if (size == 0 || size % 4 != 0 || size > blob.size() - 4)
    throw Error(where, fmt::format("is not a character map: a table of {} bytes in {}", size, blob.size()),
                "fetch the file again");
  array_.resize(size / 4);
  std::memcpy(array_.data(), blob.data() + 4, size);
  replacements_ = blob.substr(4 + size);
  require_utf8(replacements_, where);
  for (int c = 0; c < 128; ++c) {
    const uint32_t at = offset_of(array_[0]) ^ c;
    if (at >= array_.size() || label_of(array_[at]) != static_cast<uint32_t>(c)) {
      keeps_[c] = true;
      continue;
    }
    // A rule for the character alone, or one that goes on with ASCII?
    keeps_[c] = !has_leaf(array_[at]);
    for (uint32_t next = 0; next < 128; ++next) {
      const uint32_t child = at ^ offset_of(array_[at]) ^ next;
      if (next != 0 && child < array_.size() && label_of(array_[child]) == next) keeps_[c] = false;
    }
  }
}

template <typename Found>
void Charsmap::for_each_rule(std::string_view text, Found&& found) const {
  if (array_.empty()) return;
  uint32_t node = offset_of(array_[0]);
  for (uint32_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    node ^= byte;
    if (node >= array_.size() || label_of(array_[node]) != byte) return;
    const bool ends = has_leaf(array_[node]);
    node ^= offset_of(array_[node]);
    if (node >= array_.size()) return;
    if (ends && !found(Rule{i + 1, replacement_at(value_of(array_[node]))})) return;
  }
}

// A replacement that is out of range, or begins inside a character, is empty.
std::string_view Charsmap::replacement_at(uint32_t offset) const {
  if (offset >= replacements_.size() || utf8_continues(replacements_[offset])) return {};
  return replacements_.c_str() + offset;
}

Charsmap::Rule Charsmap::longest(std::string_view text) const {
  Rule rule;
  for_each_rule(text, [&](const Rule& next) {
    rule = next;
    return true;
  });
  return rule;
}

Charsmap::Rule Charsmap::shortest(std::string_view text) const {
  Rule rule;
  for_each_rule(text, [&](const Rule& next) {
    rule = next;
    return false;
  });
  return rule;
}

}  // namespace qkv
