// A place in the tokens of a template, which the parsers of expressions and of statements move on.
#pragma once

#include "qkv/text/template/lexer.h"

#include <string>
#include <string_view>
#include <vector>

namespace qkv::jinja {

class Cursor {
 public:
  explicit Cursor(std::string_view source) : tokens_(tokens_of(source)) {}

  const Token& now() const { return tokens_[at_]; }
  const Token& next() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  void move() { ++at_; }
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void unexpected(std::string_view wanted) const;

  bool is(Token::Kind kind, std::string_view value) const { return now().kind == kind && now().value == value; }
  bool symbol(std::string_view value) const { return is(Token::Kind::symbol, value); }
  bool word(std::string_view value) const { return is(Token::Kind::name, value); }
  bool take_symbol(std::string_view value) { return take(Token::Kind::symbol, value); }
  bool take_word(std::string_view value) { return take(Token::Kind::name, value); }
  void expect_symbol(std::string_view value);
  void expect_word(std::string_view value);
  std::string name();
  void block_end();

  // Counts how deep the parsers are inside each other while it lives; Error beyond 100.
  class Deeper {
   public:
    explicit Deeper(Cursor& cursor);
    ~Deeper() { --cursor_.depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;

   private:
    Cursor& cursor_;
  };

 private:
  bool take(Token::Kind kind, std::string_view value) {
    if (!is(kind, value)) return false;
    ++at_;
    return true;
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace qkv::jinja
