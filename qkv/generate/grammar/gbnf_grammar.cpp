#include "qkv/generate/grammar/gbnf_grammar.h"

#include "qkv/core/error.h"
#include "qkv/core/hexadecimal.h"
#include "qkv/text/unicode.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

namespace qkv {
namespace {

using Rule = Grammar::Rule;

constexpr size_t longest_text = 64 << 10;
constexpr int deepest_group = 64;
constexpr int64_t most_gbnf_repetitions = 2'000;

bool is_name(char32_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

class GbnfReader {
 public:
  explicit GbnfReader(std::string_view text) {
    if (text.size() > longest_text) throw Error("grammar", fmt::format("is longer than {} bytes", longest_text));
    if (invalid_utf8(text) != std::string_view::npos) throw Error("grammar", "is not valid UTF-8");
    for (const char* p = text.data(); p < text.data() + text.size();) text_ += next_code_point(p);
  }

  Grammar read() {
    skip(true);
    while (at_ < text_.size()) {
      rule();
      skip(true);
    }
    for (const auto& [name, known] : rules_)
      if (!known.defined) fail(known.line, fmt::format("names a rule '{}' that is not there", name));
    const auto root = rules_.find("root");
    if (root == rules_.end()) throw Error("grammar", "has no rule 'root'", "give what the whole text is that name");
    refuse_left_recursion();
    grammar_.start(root->second.rule);
    return std::move(grammar_);
  }

 private:
  struct Known {
    Rule rule;
    size_t line;  // where it was first named
    bool defined = false;
  };

  [[noreturn]] static void fail(size_t line, const std::string& what) {
    throw Error("grammar", fmt::format("{} (line {})", what, line));
  }
  [[noreturn]] void fail(const std::string& what) const { fail(line(), what); }
  size_t line() const {
    const auto begin = text_.begin();
    return 1 +
           static_cast<size_t>(std::count(begin, begin + static_cast<ptrdiff_t>(std::min(at_, text_.size())), '\n'));
  }
  bool next_is(char32_t c) const { return at_ < text_.size() && text_[at_] == c; }
  char32_t take() {
    if (at_ >= text_.size()) fail("ends too early");
    return text_[at_++];
  }

  // Over spaces and comments, and the ends of lines where the rule goes on behind them.
  void skip(bool lines) {
    while (at_ < text_.size()) {
      const char32_t c = text_[at_];
      if (c == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
        ++at_;
      } else {
        return;
      }
    }
  }

  std::string name() {
    std::string name;
    while (at_ < text_.size() && is_name(text_[at_])) name += static_cast<char>(text_[at_++]);
    return name;
  }

  Known& known(const std::string& name) {
    const auto found = rules_.find(name);
    if (found != rules_.end()) return found->second;
    return rules_.emplace(name, Known{grammar_.declare(), line()}).first->second;
  }

  void rule() {
    const std::string said = name();
    if (said.empty()) fail("expected the name of a rule");
    Known& place = known(said);
    if (place.defined) fail(fmt::format("says twice what '{}' is", said));
    place.defined = true;
    skip(false);
    for (const char32_t c : {':', ':', '='})
      if (take() != c) fail(fmt::format("expected ::= behind '{}'", said));
    const Rule declared = place.rule;
    grammar_.define(declared, alternatives(0));
    if (at_ < text_.size() && !next_is('\n') && !next_is('\r'))
      fail(next_is(')') ? "has a ')' without its '('" : "has something that is no part of a rule");
  }

  Rule alternatives(int depth) {
    if (depth > deepest_group) fail("nests too deep");
    std::vector<Rule> all;
    do {
      if (!all.empty()) ++at_;
      skip(true);
      all.push_back(sequence(depth));
    } while (next_is('|'));
    return grammar_.choice(all);
  }

  Rule sequence(int depth) {
    std::vector<Rule> parts;
    while (at_ < text_.size()) {
      const std::optional<Rule> part = atom(depth);
      if (!part) break;
      parts.push_back(repetition(*part, depth));
    }
    return grammar_.sequence(parts);
  }

  // Behind it stands what follows.
  std::optional<Rule> atom(int depth) {
    const char32_t c = text_[at_];
    if (is_name(c)) return known(name()).rule;
    if (c == '<' || c == '!') fail("names tokens, and this grammar is over characters: write the text in quotes");
    if (c == '.') {
      ++at_;
      return grammar_.one_of({{0, last_character}});
    }
    if (c == '"') return quoted();
    if (c == '[') return set();
    if (c != '(') return {};
    ++at_;
    const Rule inner = alternatives(depth + 1);
    if (!next_is(')')) fail("has a '(' without its ')'");
    ++at_;
    return inner;
  }

  Rule repetition(Rule rule, int depth) {
    while (true) {
      skip(depth > 0);
      if (next_is('*')) {
        rule = grammar_.repeated(rule, 0);
      } else if (next_is('+')) {
        rule = grammar_.repeated(rule, 1);
      } else if (next_is('?')) {
        rule = grammar_.optional(rule);
      } else if (next_is('{')) {
        rule = counted(rule);
      } else {
        return rule;
      }
      ++at_;
    }
  }

  // From '{' to before '}'.
  Rule counted(Rule rule) {
    ++at_;
    const std::optional<int64_t> least = number();
    std::optional<int64_t> most = least;
    skip(false);
    if (next_is(',')) {
      ++at_;
      most = number();
      skip(false);
    }
    if (least.value_or(0) > most_gbnf_repetitions || most.value_or(0) > most_gbnf_repetitions)
      fail(fmt::format("repeats more than {} times", most_gbnf_repetitions));
    if (!least || !next_is('}')) fail("has a repetition that is none of {m}, {m,} and {m,n}");
    if (most && *most < *least) fail("has a repetition from more to fewer");
    return grammar_.repeated(rule, *least, most.value_or(-1));
  }
  std::optional<int64_t> number() {
    skip(false);
    std::optional<int64_t> value;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9' && value.value_or(0) <= most_gbnf_repetitions)
      value = value.value_or(0) * 10 + (text_[at_++] - '0');
    return value;
  }

  Rule quoted() {
    ++at_;
    std::vector<Rule> characters;
    while (!next_is('"')) {
      const char32_t c = character();
      characters.push_back(grammar_.one_of({{c, c}}));
    }
    ++at_;
    return grammar_.sequence(characters);
  }

  Rule set() {
    ++at_;
    const bool others = next_is('^');
    if (others) ++at_;
    std::vector<CharacterRange> ranges;
    while (!next_is(']')) {
      const char32_t first = character();
      char32_t last = first;
      if (next_is('-') && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        last = character();
      }
      if (last < first) fail("has a range from later to earlier");
      ranges.emplace_back(first, last);
    }
    ++at_;
    if (ranges.empty() && !others) fail("has a set of no characters");
    return grammar_.one_of(others ? complement(ranges) : ranges);
  }

  char32_t character() {
    const char32_t c = take();
    if (c != '\\') return c;
    const char32_t escape = take();
    switch (escape) {
      case 'n':
        return '\n';
      case 't':
        return '\t';
      case 'r':
        return '\r';
      case '\\':
      case '"':
      case '[':
      case ']':
        return escape;
      case 'x':
        return code(2);
      case 'u':
        return code(4);
      case 'U':
        return code(8);
      default:
        fail("has an escape that is not known");
    }
  }
  char32_t code(int digits) {
    uint64_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const int digit = hex_digit(take());
      if (digit < 0) fail("has a code that is not hexadecimal");
      value = value * 16 + static_cast<uint64_t>(digit);
    }
    if (value > last_character) fail("has a code beyond the last character");
    return static_cast<char32_t>(value);
  }

  void refuse_left_recursion() const {
    const std::vector<Rule> circle = grammar_.left_recursion();
    for (const auto& [name, known] : rules_)
      if (std::find(circle.begin(), circle.end(), known.rule) != circle.end())
        fail(known.line,
             fmt::format("has a rule '{}' that can begin with itself; put what comes first in front", name));
  }

  std::u32string text_;
  size_t at_ = 0;
  Grammar grammar_;
  std::map<std::string, Known> rules_;
};

}  // namespace

Grammar gbnf_grammar(std::string_view text) { return GbnfReader(text).read(); }

}  // namespace qkv
