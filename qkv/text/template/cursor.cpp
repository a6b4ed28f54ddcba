#include "qkv/text/template/cursor.h"

#include "qkv/core/error.h"

namespace qkv::jinja {
namespace {

constexpr int deepest_nesting = 100;  // of expressions and blocks

}  // namespace

void Cursor::fail(const std::string& what) const {
  throw Error("template", fmt::format("line {}: {}", now().line, what));
}

void Cursor::unexpected(std::string_view wanted) const {
  fail(fmt::format("expected {}, got '{}'", wanted, now().value));
}

void Cursor::expect_symbol(std::string_view value) {
  if (!take_symbol(value)) unexpected(fmt::format("'{}'", value));
}

void Cursor::expect_word(std::string_view value) {
  if (!take_word(value)) unexpected(fmt::format("'{}'", value));
}

std::string Cursor::name() {
  if (now().kind != Token::Kind::name) unexpected("a name");
  return tokens_[at_++].value;
}

void Cursor::block_end() {
  if (now().kind != Token::Kind::block_end) unexpected("the end of the tag");
  ++at_;
}

Cursor::Deeper::Deeper(Cursor& cursor) : cursor_(cursor) {
  if (cursor.depth_ >= deepest_nesting) cursor.fail(fmt::format("nests deeper than {} levels", deepest_nesting));
  ++cursor.depth_;
}

}  // namespace qkv::jinja
