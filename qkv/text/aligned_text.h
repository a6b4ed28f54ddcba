// Text under transformation that remembers which bytes of the input each of its bytes came from.
#pragma once

#include "qkv/text/unicode.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

// Bytes [begin, end) of the input.
struct Span {
  uint32_t begin = 0;
  uint32_t end = 0;
};

// Valid UTF-8, and with `tracked`, for every byte of it the character of the input that it stands for. Without,
// `origin` stays empty and the transformations do no bookkeeping.
struct AlignedText {
  std::string text;
  std::vector<Span> origin;
  bool tracked = false;

  // The input's bytes [begin, end), unchanged.
  static AlignedText of(std::string_view input, size_t begin, size_t end, bool tracked);

  void append(const AlignedText& other, size_t begin, size_t end);
};

// Rewrites a text from its first character to its last. The alignment rules are those of the Hugging Face library, so
// that offsets agree: a replacement stands for the character that it replaces; an inserted character shares the
// origin of the character before it in the old text.
class Rewrite {
 public:
  explicit Rewrite(AlignedText& text) : old_(text) { fresh_.reserve(old_.text.size()); }
  Rewrite(const Rewrite&) = delete;
  Rewrite& operator=(const Rewrite&) = delete;
  ~Rewrite();

  bool done() const { return at_ == old_.text.size(); }
  size_t position() const { return at_; }
  char32_t peek() const;

  void keep() { replace(peek()); }
  void replace(char32_t c);  // the next character becomes c
  void drop();               // the next character goes
  void insert(char32_t c);   // c joins

 private:
  void put(char32_t c, Span from);

  AlignedText& old_;
  size_t at_ = 0;
  std::string fresh_;
  std::vector<Span> fresh_origin_;
};

// A character of a text's new form. growth > 0: it is inserted, and shares the origin of the character before it in the
// old text; else it replaces the next character of the old text, and -growth more go with that one.
struct Change {
  char32_t c;
  int growth;
};
void apply_changes(AlignedText& text, const std::vector<Change>& changes);

}  // namespace qkv
