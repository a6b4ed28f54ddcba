// The bytes that tokens stand for, as a tree. A character may lie in several tokens: those of byte-level vocabularies
// end and begin anywhere, and others have tokens of single bytes.
#pragma once

#include "qkv/text/tokenizer.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

class TokenTexts {
 public:
  // Special tokens, and those whose bytes are not known, have no text.
  explicit TokenTexts(const Tokenizer& tokenizer);

  // What stands below a node comes right behind it, up to `end`. `tokens`: where those that end here begin among the
  // tree's ids; they go on to the next node's. Behind the last node is one more.
  struct Node {
    uint8_t byte = 0;
    int32_t end = 0;
    int32_t tokens = 0;
  };
  struct Tree {
    std::vector<Node> nodes;
    std::vector<int32_t> ids;
  };
  // Some tokenizers drop a text's first space, so that its first token reads differently.
  const Tree& tree(bool begins) const { return of(begins).tree; }
  std::string_view text(int32_t id, bool begins) const;

 private:
  struct Texts {
    std::string bytes;
    std::vector<uint32_t> ends;  // by id
    Tree tree;
  };
  const Texts& of(bool begins) const { return begins && first_ ? *first_ : later_; }
  static std::string_view text(const Texts& texts, size_t id);
  static void plant(Texts& texts);

  Texts later_;
  std::optional<Texts> first_;  // where it differs
};

}  // namespace qkv
