// SentencePiece's precompiled character maps: a trie of strings and what each is rewritten to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

class Charsmap {
 public:
  // Bytes as a SentencePiece model holds them: the size of a darts-clone double array, the array, and the replacements,
  // each ended by a zero byte. No bytes: a map of nothing. Throws Error naming `where` for sizes that do not fit and
  // replacements that are not UTF-8.
  Charsmap(std::string_view blob, std::string_view where);
  Charsmap() = default;

  struct Rule {
    uint32_t bytes = 0;  // of the text that is rewritten; 0: no rule applies
    std::string_view replacement;
  };
  Rule longest(std::string_view text) const;   // the longest rule at the text's start
  Rule shortest(std::string_view text) const;  // the shortest one

  // Whether an ASCII character that is followed by another or by the end stays as it is.
  bool keeps_ascii(char c) const { return array_.empty() || keeps_[static_cast<uint8_t>(c)]; }

 private:
  template <typename Found>
  void for_each_rule(std::string_view text, Found&& found) const;
  std::string_view replacement_at(uint32_t offset) const;

  std::vector<uint32_t> array_;
  std::string replacements_;
  bool keeps_[128] = {};
};

}  // namespace qkv
