#include "qkv/generate/grammar/regex_grammar.h"

#include "qkv/core/error.h"
#include "qkv/core/hexadecimal.h"
#include "qkv/text/unicode.h"

#include <optional>
#include <string>

namespace qkv {
namespace {

using Rule = Grammar::Rule;
using Ranges = std::vector<CharacterRange>;

constexpr size_t longest_pattern = 10'000;
constexpr int deepest_pattern = 50;
constexpr int64_t most_regex_repetitions = 1'000;

class RegexReader {
 public:
  RegexReader(Grammar& grammar, std::string_view pattern, const std::function<Rule(Ranges)>& characters)
      : grammar_(grammar), characters_(characters) {
    if (pattern.size() > longest_pattern)
      throw Error("pattern", fmt::format("is longer than {} bytes", longest_pattern));
    if (invalid_utf8(pattern) != std::string_view::npos) throw Error("pattern", "is not valid UTF-8");
    for (const char* p = pattern.data(); p < pattern.data() + pattern.size();) text_ += next_code_point(p);
  }

  // Each alternative may say that it begins and ends where the text does.
  Rule whole(const std::optional<Rule>& around) {
    std::vector<Rule> all;
    do {
      if (!all.empty()) ++at_;
      std::vector<Rule> parts;
      if (next_is('^')) {
        ++at_;
      } else if (around) {
        parts.push_back(*around);
      }
      parts.push_back(sequence(0));
      if (next_is('$')) {
        ++at_;
      } else if (around) {
        parts.push_back(*around);
      }
      all.push_back(grammar_.sequence(parts));
    } while (next_is('|'));
    if (at_ < text_.size()) fail("has a ')' without its '('");
    return grammar_.choice(all);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error("pattern", fmt::format("{} (character {})", what, at_ + 1));
  }
  bool next_is(char32_t c) const { return at_ < text_.size() && text_[at_] == c; }
  char32_t take() {
    if (at_ >= text_.size()) fail("ends too early");
    return text_[at_++];
  }

  Rule alternatives(int depth) {
    if (depth > deepest_pattern) fail("nests too deep");
    std::vector<Rule> all = {sequence(depth)};
    while (next_is('|')) {
      ++at_;
      all.push_back(sequence(depth));
    }
    return all.size() == 1 ? all[0] : grammar_.choice(all);
  }

  Rule sequence(int depth) {
    std::vector<Rule> parts;
    while (at_ < text_.size() && text_[at_] != '|' && text_[at_] != ')' && !(depth == 0 && at_end()))
      parts.push_back(repetition(depth));
    return grammar_.sequence(parts);
  }
  // A '$' behind which an alternative ends.
  bool at_end() const { return next_is('$') && (at_ + 1 == text_.size() || text_[at_ + 1] == '|'); }

  Rule repetition(int depth) {
    Rule rule = atom(depth);
    while (at_ < text_.size()) {
      if (next_is('*')) {
        rule = grammar_.repeated(rule, 0);
      } else if (next_is('+')) {
        rule = grammar_.repeated(rule, 1);
      } else if (next_is('?')) {
        rule = grammar_.optional(rule);
      } else if (next_is('{')) {
        rule = counted(rule);
        continue;
      } else {
        break;
      }
      ++at_;
      if (next_is('?')) ++at_;  // lazy
      if (next_is('+')) fail("has a possessive repetition, which is not known");
    }
    return rule;
  }

  Rule counted(Rule rule) {
    ++at_;
    const std::optional<int64_t> least = number();
    std::optional<int64_t> most = least;
    if (next_is(',')) {
      ++at_;
      most = number();
      if (!most) most = -1;
    }
    if (!least || take() != '}') fail("has a '{' that is no repetition; write \\{ for the character");
    if (*least > most_regex_repetitions || *most > most_regex_repetitions)
      fail(fmt::format("repeats more than {} times", most_regex_repetitions));
    if (*most >= 0 && *most < *least) fail("has a repetition from more to fewer");
    if (next_is('?')) ++at_;
    return grammar_.repeated(rule, *least, *most);
  }

  std::optional<int64_t> number() {
    std::optional<int64_t> value;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9' && value.value_or(0) <= most_regex_repetitions)
      value = value.value_or(0) * 10 + (text_[at_++] - '0');
    return value;
  }

  Rule atom(int depth) {
    const char32_t c = take();
    switch (c) {
      case '(': {
        if (next_is('?')) {
          ++at_;
          kind_of_group();
        }
        const Rule inner = alternatives(depth + 1);
        if (!next_is(')')) fail("has a '(' without its ')'");
        ++at_;
        return inner;
      }
      case '[':
        return characters_(set());
      case '.':
        return characters_(complement({{'\n', '\n'}}));
      case '\\':
        return characters_(escape());
      case '^':
      case '$':
        fail("has '^' or '$' inside: they may stand at the ends alone");
      case '*':
      case '+':
      case '?':
        fail("repeats nothing");
      default:
        return characters_({{c, c}});
    }
  }

  // Behind "(?": a group without a number, or with a name.
  void kind_of_group() {
    char32_t c = take();
    if (c == ':') return;
    if (c == 'P' && next_is('<')) c = take();
    if (c == '=' || c == '!' || (c == '<' && (next_is('=') || next_is('!'))))
      fail("has look-around, which is not known");
    if (c == '<') {
      while (take() != '>') continue;
      return;
    }
    if (c == '-' || c == '^' || (c >= 'a' && c <= 'z'))
      fail("has inline flags such as (?i), which are not known: write out what they would match, such as [Aa]");
    fail("has a group of a kind that is not known");
  }

  Ranges escape() {
    const Ranges digits = {{'0', '9'}}, letters = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}},
                 spaces = {{'\t', '\r'}, {' ', ' '}};
    const char32_t c = take();
    switch (c) {
      case 'd':
        return digits;
      case 'D':
        return complement(digits);
      case 'w':
        return letters;
      case 'W':
        return complement(letters);
      case 's':
        return spaces;
      case 'S':
        return complement(spaces);
      case 'n':
        return {{'\n', '\n'}};
      case 't':
        return {{'\t', '\t'}};
      case 'r':
        return {{'\r', '\r'}};
      case 'f':
        return {{'\f', '\f'}};
      case 'v':
        return {{'\v', '\v'}};
      case 'x':
        return code(2);
      case 'u':
        return code(4);
      default:
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
          fail("has an escape that is not known");
        return {{c, c}};
    }
  }

  Ranges code(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const int digit = hex_digit(take());
      if (digit < 0) fail("has a code that is not hexadecimal");
      value = value * 16 + static_cast<char32_t>(digit);
    }
    return {{value, value}};
  }

  // Behind a '['.
  Ranges set() {
    const bool negative = next_is('^');
    if (negative) ++at_;
    Ranges ranges;
    for (bool first = true; first || !next_is(']'); first = false) {
      const Ranges part = member();
      if (part.size() == 1 && part[0].first == part[0].second && next_is('-') && at_ + 1 < text_.size() &&
          text_[at_ + 1] != ']') {
        ++at_;
        const Ranges end = member();
        if (end.size() != 1 || end[0].first != end[0].second || end[0].first < part[0].first)
          fail("has a range from later to earlier");
        ranges.emplace_back(part[0].first, end[0].first);
      } else {
        ranges.insert(ranges.end(), part.begin(), part.end());
      }
    }
    ++at_;
    return negative ? complement(ranges) : ranges;
  }
  Ranges member() {
    const char32_t c = take();
    if (c == '\\') return next_is('b') ? (++at_, Ranges{{'\b', '\b'}}) : escape();
    if (c == '[' && next_is(':')) fail("has a POSIX class, which is not known");
    return {{c, c}};
  }

  Grammar& grammar_;
  const std::function<Rule(Ranges)>& characters_;
  std::u32string text_;
  size_t at_ = 0;
};

}  // namespace

Rule add_regex(Grammar& grammar, std::string_view pattern, const std::function<Rule(Ranges)>& characters,
               const std::optional<Rule>& around) {
  return RegexReader(grammar, pattern, characters).whole(around);
}

Grammar regex_grammar(std::string_view pattern) {
  Grammar grammar;
  grammar.start(add_regex(grammar, pattern, [&](Ranges ranges) { return grammar.one_of(std::move(ranges)); }));
  return grammar;
}

}  // namespace qkv
