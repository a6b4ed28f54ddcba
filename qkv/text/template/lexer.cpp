#include "qkv/text/template/lexer.h"

#include "qkv/core/error.h"
#include "qkv/core/hexadecimal.h"
#include "qkv/text/unicode.h"

#include <algorithm>
#include <array>

namespace qkv::jinja {
namespace {

constexpr std::string_view spaces = " \t\n\r\v\f";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool begins_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) {
    for (size_t i = 0; i < source.size(); ++i) {
      if (source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n') continue;
      text_ += source[i] == '\r' ? '\n' : source[i];
    }
    if (!text_.empty() && text_.back() == '\n') text_.pop_back();
  }

  std::vector<Token> run() {
    while (at_ < text_.size()) outside();
    push(Token::Kind::end, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error("template", fmt::format("line {}: {}", line_, what));
  }
  void push(Token::Kind kind, std::string value) { tokens_.push_back({kind, std::move(value), line_}); }
  void move_to(size_t end) {
    line_ += static_cast<int>(
        std::count(text_.begin() + static_cast<ptrdiff_t>(at_), text_.begin() + static_cast<ptrdiff_t>(end), '\n'));
    at_ = end;
  }
  bool stands(std::string_view what, size_t at) const { return text_.compare(at, what.size(), what) == 0; }

  // Text up to the next tag, then the tag.
  void outside() {
    size_t tag = at_;
    while (true) {
      tag = text_.find('{', tag);
      if (tag == std::string::npos || tag + 1 >= text_.size()) {
        tag = std::string::npos;
        break;
      }
      const char next = text_[tag + 1];
      if (next == '{' || next == '%' || next == '#') break;
      ++tag;
    }
    if (tag == std::string::npos) return text(text_.substr(at_), text_.size());
    std::string before = text_.substr(at_, tag - at_);
    const char kind = text_[tag + 1];
    size_t inside = tag + 2;
    const char sign = inside < text_.size() ? text_[inside] : ' ';
    if (sign == '-') {
      before.erase(before.find_last_not_of(spaces) + 1);
    } else if (sign != '+' && kind != '{') {
      // White space alone between the line's beginning and a block or comment goes.
      const size_t line = before.rfind('\n') + 1;
      if ((line > 0 || line_starts_) && before.find_first_not_of(spaces, line) == std::string::npos) before.erase(line);
    }
    if (sign == '-' || sign == '+') ++inside;
    text(before, inside);
    if (kind == '#') return comment();
    if (kind == '%' && raw()) return;
    push(kind == '{' ? Token::Kind::print_begin : Token::Kind::block_begin, "");
    expression(kind == '{' ? "}}" : "%}");
  }

  void text(const std::string& value, size_t end) {
    if (!value.empty()) push(Token::Kind::text, value);
    move_to(end);
    line_starts_ = false;
  }

  // What the end of a block or comment takes with it: with a minus all white space, else one line feed.
  void after_end(char sign) {
    size_t end = at_;
    if (sign == '-') {
      end = std::min(text_.find_first_not_of(spaces, end), text_.size());
    } else if (sign != '+' && end < text_.size() && text_[end] == '\n') {
      ++end;
    }
    line_starts_ = end > at_ && text_[end - 1] == '\n';
    move_to(end);
  }

  void comment() {
    const size_t end = text_.find("#}", at_);
    if (end == std::string::npos) fail("a comment does not end");
    const char sign = end > at_ ? text_[end - 1] : ' ';
    move_to(end + 2);
    after_end(sign);
  }

  // {% raw %}: what stands until {% endraw %} is text. false: the tag is another.
  bool raw() {
    size_t end = at_;
    const auto word = [&](std::string_view what) {
      end = std::min(text_.find_first_not_of(spaces, end), text_.size());
      if (!stands(what, end)) return false;
      end += what.size();
      return true;
    };
    char sign = ' ';
    const auto closes = [&] {
      end = std::min(text_.find_first_not_of(spaces, end), text_.size());
      sign = end < text_.size() ? text_[end] : ' ';
      if (sign == '-' || sign == '+') ++end;
      if (!stands("%}", end)) return false;
      end += 2;
      return true;
    };
    if (!word("raw") || !closes()) return false;
    move_to(end);
    after_end(sign == '-' ? '-' : '+');
    for (size_t tag = at_; (tag = text_.find("{%", tag)) != std::string::npos; ++tag) {
      end = tag + 2;
      const char before = end < text_.size() ? text_[end] : ' ';
      if (before == '-' || before == '+') ++end;
      if (!word("endraw") || !closes()) continue;
      std::string inside = text_.substr(at_, tag - at_);
      if (before == '-') {
        inside.erase(inside.find_last_not_of(spaces) + 1);
      } else if (before != '+') {
        const size_t line = inside.rfind('\n') + 1;
        if ((line > 0 || line_starts_) && inside.find_first_not_of(spaces, line) == std::string::npos)
          inside.erase(line);
      }
      text(inside, end);
      after_end(sign);
      return true;
    }
    fail("raw does not end");
  }

  // The tokens of a tag, up to its end.
  void expression(std::string_view end) {
    std::string brackets;
    while (true) {
      move_to(std::min(text_.find_first_not_of(spaces, at_), text_.size()));
      if (at_ == text_.size()) fail("a tag does not end");
      const char c = text_[at_];
      const bool signed_end = (c == '-' || c == '+') && stands(end, at_ + 1);
      if (brackets.empty() && (stands(end, at_) || (signed_end && (c == '-' || end == "%}")))) {
        push(end == "}}" ? Token::Kind::print_end : Token::Kind::block_end, "");
        move_to(at_ + end.size() + (signed_end ? 1 : 0));
        // What is printed leaves the line feed behind it.
        after_end(signed_end ? c : end == "}}" ? '+' : ' ');
        return;
      }
      if (begins_name(c)) {
        name();
      } else if (is_digit(c)) {
        number();
      } else if (c == '"' || c == '\'') {
        string(c);
      } else {
        symbol(brackets);
      }
    }
  }

  void name() {
    size_t end = at_;
    while (end < text_.size() && (begins_name(text_[end]) || is_digit(text_[end]))) ++end;
    push(Token::Kind::name, text_.substr(at_, end - at_));
    move_to(end);
  }

  void number() {
    std::string digits;
    size_t end = at_;
    bool whole = true;
    const auto take = [&] {
      while (end < text_.size() && (is_digit(text_[end]) || (text_[end] == '_' && is_digit(text_[end - 1])))) {
        if (text_[end] != '_') digits += text_[end];
        ++end;
      }
    };
    take();
    if (end + 1 < text_.size() && text_[end] == '.' && is_digit(text_[end + 1])) {
      whole = false;
      digits += text_[end++];
      take();
    }
    if (end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
      const size_t sign = end + 1 < text_.size() && (text_[end + 1] == '-' || text_[end + 1] == '+') ? 1 : 0;
      if (end + 1 + sign < text_.size() && is_digit(text_[end + 1 + sign])) {
        whole = false;
        digits += text_.substr(end, 1 + sign);
        end += 1 + sign;
        take();
      }
    }
    push(whole ? Token::Kind::integer : Token::Kind::number, digits);
    move_to(end);
  }

  void string(char quote) {
    size_t end = at_ + 1;
    std::string value;
    for (; end < text_.size() && text_[end] != quote; ++end) {
      if (text_[end] != '\\') {
        value += text_[end];
        continue;
      }
      if (++end == text_.size()) break;
      escape(end, value);
    }
    if (end >= text_.size()) fail("a string does not end");
    push(Token::Kind::string, value);
    move_to(end + 1);
  }

  // Python's escapes; `at` is behind the backslash, and ends on the escape's last character.
  void escape(size_t& at, std::string& value) const {
    const char c = text_[at];
    constexpr std::string_view letters = "ntrabfv\\'\"", means = "\n\t\r\a\b\f\v\\'\"";
    if (const size_t letter = letters.find(c); letter != std::string_view::npos) {
      value += means[letter];
    } else if (c == '\n') {
      return;
    } else if (c >= '0' && c <= '7') {
      char32_t code = 0;
      size_t end = at;
      for (; end < text_.size() && end < at + 3 && text_[end] >= '0' && text_[end] <= '7'; ++end)
        code = code * 8 + static_cast<char32_t>(text_[end] - '0');
      append_utf8(value, code);
      at = end - 1;
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      char32_t code = 0;
      for (size_t i = 1; i <= digits; ++i) {
        const char d = at + i < text_.size() ? text_[at + i] : ' ';
        const int digit = hex_digit(static_cast<unsigned char>(d));
        if (digit < 0) fail("an escape of a string lacks digits");
        code = code * 16 + static_cast<char32_t>(digit);
      }
      if (code >= code_point_end || (code >= 0xD800 && code < 0xE000)) fail("an escape of a string is no character");
      append_utf8(value, code);
      at += digits;
    } else {
      value += {'\\', c};
    }
  }

  void symbol(std::string& brackets) {
    static constexpr std::array<std::string_view, 25> all = {"**", "//", "==", "!=", "<=", ">=", "+", "-", "*",
                                                             "/",  "%",  "~",  "<",  ">",  "=",  "(", ")", "[",
                                                             "]",  "{",  "}",  ",",  ":",  ".",  "|"};
    for (const std::string_view one : all) {
      if (!stands(one, at_)) continue;
      const char c = one[0];
      if (c == '(' || c == '[' || c == '{') brackets += c == '(' ? ')' : c == '[' ? ']' : '}';
      if (c == ')' || c == ']' || c == '}') {
        if (brackets.empty() || brackets.back() != c) fail(fmt::format("an unexpected '{}'", c));
        brackets.pop_back();
      }
      push(Token::Kind::symbol, std::string(one));
      move_to(at_ + one.size());
      return;
    }
    fail(fmt::format("an unexpected character '{}'", text_[at_]));
  }

  std::string text_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starts_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokens_of(std::string_view source) {
  require_utf8(source, "template");
  return Lexer(source).run();
}

}  // namespace qkv::jinja
