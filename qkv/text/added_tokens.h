// Added tokens: strings such as <|endoftext|> that are found in the text before anything else is done to it.
#pragma once

#include "qkv/text/normalizer.h"
#include "qkv/text/pre_tokenizer.h"
#include "qkv/text/vocabulary.h"

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace qkv {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  std::string decoded;       // what it decodes to: the content, normalized where `normalized` is set
  bool single_word = false;  // only where no word character stands beside it
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // and after it
  bool normalized = true;    // searched in the normalized text, in its normalized form
  bool special = false;      // left out by decode(skip_special)
};

// Leftmost-longest search for a set of strings.
class TokenFinder {
 public:
  void add(std::string_view content, int32_t id);
  bool empty() const { return next_.empty(); }

  struct Match {
    size_t begin;
    size_t end;
    int32_t id;
  };
  // The first match at or behind `from`; false when there is none.
  bool find(std::string_view text, size_t from, Match& match) const;

 private:
  std::unordered_map<uint64_t, uint32_t> next_;     // trie: (node, byte) -> node
  std::unordered_map<uint32_t, int32_t> accepted_;  // node -> id
  uint32_t nodes_ = 1;
  bool starts_[256] = {};
  std::string first_bytes_;
};

class AddedTokens {
 public:
  AddedTokens() = default;
  // The normalizer may be null. Throws Error naming `json` for malformed entries.
  AddedTokens(const JsonCursor& json, const Vocabulary& vocabulary, const Normalizer* normalizer);

  // The input as pieces: added tokens, and the text between them, normalized.
  Pieces extract(std::string_view text, const Normalizer* normalizer, bool tracked) const;

  // Whether no added token is in the text, which is normalized already.
  bool absent_from(std::string_view text) const;
  bool any_normalized() const { return !normalized_.empty(); }

  const AddedToken* find(int64_t id) const;
  const AddedToken* find(std::string_view content) const;
  const std::map<int32_t, AddedToken>& all() const { return tokens_; }

 private:
  struct Section {
    size_t begin;
    size_t end;
    int32_t id;
  };
  std::vector<Section> sections(std::string_view text, const TokenFinder& finder) const;

  std::map<int32_t, AddedToken> tokens_;
  TokenFinder raw_;
  TokenFinder normalized_;
};

}  // namespace qkv
