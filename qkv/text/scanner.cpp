#include "qkv/text/scanner.h"

namespace qkv {

const std::string_view gpt2_pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

Pattern known_pattern(std::string_view regex) {
  if (regex == gpt2_pattern) return Pattern::gpt2;
  if (regex ==
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)")
    return Pattern::llama3;
  if (regex ==
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)")
    return Pattern::qwen2;
  return Pattern::other;
}

namespace {

constexpr uint8_t letter_number_or_space = letter | number | white_space;

bool is_newline(char c) { return c == '\n' || c == '\r'; }

// Length of the contraction ('s, 'll, ...) at an apostrophe, or 0.
int contraction(const char* p, const char* end, bool any_case) {
  const auto at = [&](int i) -> char {
    if (end - p <= i) return 0;
    return any_case && p[i] >= 'A' && p[i] <= 'Z' ? static_cast<char>(p[i] | 0x20) : p[i];
  };
  const char first = at(1), second = at(2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if ((first == 'r' || first == 'v') && second == 'e') return 3;
  if (first == 'l' && second == 'l') return 3;
  // The long s folds to s.
  if (any_case && first == '\xC5' && second == '\xBF') return 3;
  return 0;
}

}  // namespace

const char* Scanner::run(const char* p, const char* end, uint8_t wanted, int most) const {
  for (; p < end && most != 0; --most) {
    if (!(*p & 0x80)) {
      if (!(classes_.ascii(*p) & wanted)) return p;
      ++p;
    } else {
      const Char c = char_at(p);
      if (!(c.classes & wanted)) return p;
      p = c.after;
    }
  }
  return p;
}

const char* Scanner::run_of_others(const char* p, const char* end) const {
  while (p < end) {
    const Char c = char_at(p);
    if (c.classes & letter_number_or_space) break;
    p = c.after;
  }
  return p;
}

// \s+(?!\S)|\s+ : a run of white space leaves its last character to what follows, unless it is the only one.
const char* Scanner::white_space_run(const char* p, const char* end) const {
  const char* const stop = run(p, end, white_space);
  if (stop == end) return stop;
  const char* last = stop - 1;
  while (utf8_continues(*last)) --last;
  return last == p ? stop : last;
}

const char* Scanner::next_gpt2(const char* p, const char* end) const {
  if (*p == '\'')
    if (const int length = contraction(p, end, false)) return p + length;
  const char* const start = *p == ' ' && end - p > 1 ? p + 1 : p;
  const Char c = char_at(start);
  if (c.classes & letter) return run(c.after, end, letter);
  if (c.classes & number) return run(c.after, end, number);
  if (c.classes & white_space) return white_space_run(p, end);
  return run_of_others(c.after, end);
}

const char* Scanner::next_llama3(const char* p, const char* end) const {
  if (*p == '\'')
    if (const int length = contraction(p, end, true)) return p + length;
  const Char c = char_at(p);
  if (c.classes & letter) return run(c.after, end, letter);
  if (c.classes & number) return run(c.after, end, number, pattern_ == Pattern::qwen2 ? 0 : 2);
  if (!is_newline(*p) && c.after < end && char_at(c.after).classes & letter) return run(c.after, end, letter);
  const char* const start = *p == ' ' && end - p > 1 ? p + 1 : p;
  if (!(char_at(start).classes & letter_number_or_space)) {
    const char* stop = run_of_others(start, end);
    while (stop < end && is_newline(*stop)) ++stop;
    return stop;
  }
  // \s*[\r\n]+ : up to the last newline of the white space, if it has one.
  const char* const space_end = run(p, end, white_space);
  for (const char* q = space_end; q > p; --q)
    if (is_newline(q[-1])) return q;
  return white_space_run(p, end);
}

}  // namespace qkv
