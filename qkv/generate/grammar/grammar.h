// A context-free grammar over characters, and which characters may follow a text that it has begun.
//
//   Grammar g;
//   const auto digit = g.one_of({{'0', '9'}});
//   g.start(g.sequence({g.optional(g.literal("-")), g.repeated(digit, 1)}));
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qkv {

using CharacterRange = std::pair<char32_t, char32_t>;  // first and last

constexpr char32_t last_character = 0x10FFFF;

// The characters that are in none of the ranges.
std::vector<CharacterRange> complement(std::vector<CharacterRange> ranges);

class Grammar {
 public:
  using Rule = int32_t;

  // Rules from characters and from rules. They throw Error when the grammar gets too large (100,000 symbols).
  Rule literal(std::string_view utf8);
  Rule one_of(std::vector<CharacterRange> ranges);
  Rule sequence(const std::vector<Rule>& parts);
  Rule choice(const std::vector<Rule>& alternatives);
  Rule optional(Rule rule);
  // At least `least` times, and at most `most`; below 0: any number.
  Rule repeated(Rule rule, int64_t least, int64_t most = -1);

  // A rule that is said later, so that it may contain itself. Not at its own beginning: a text may only go on forwards.
  Rule declare();
  void define(Rule declared, Rule rule);

  void start(Rule rule) { start_ = rule; }

  // Takes away what no text can get to the end of, such as a rule that always contains itself. False: then the grammar
  // has no text at all.
  bool keep_what_ends();

  // Rules that can begin with each other in a circle, so that no text could ever be begun; empty: there are none.
  // Repetitions of what may be nothing are no such circle: they end.
  std::vector<Rule> left_recursion() const;

  // Ways in which a text may go on: for each, what is still to be matched, innermost last; an empty way is the end.
  using State = std::vector<std::vector<int32_t>>;
  // Of the empty text.
  State begin() const;
  // Behind one more character; empty: the text is none of the grammar's.
  State after(const State& state, char32_t character) const;
  // The characters that may follow, in ranges in order. All of a range lead to the same state. Without surrogates.
  std::vector<CharacterRange> next_characters(const State& state) const;
  static bool complete(const State& state) { return !state.empty() && state.front().empty(); }

 private:
  enum class Kind : uint8_t { characters, rule, end };
  struct Symbol {
    Kind kind;
    int32_t value = 0;  // of sets_ or of rules_
  };
  int32_t add_alternative(const std::vector<Symbol>& symbols);
  Rule add_rule(std::vector<int32_t> alternatives);
  void expand(std::vector<std::vector<int32_t>> open, State& state) const;
  bool matches(int32_t set, char32_t character) const;
  // Those that have a text, of characters or (`of_nothing`) the empty one alone.
  std::vector<bool> rules_with_texts(bool of_nothing) const;
  bool has_character(int32_t set) const;

  std::vector<Symbol> symbols_;              // alternatives, each up to its end
  std::vector<std::vector<int32_t>> rules_;  // where a rule's alternatives begin
  std::vector<std::vector<CharacterRange>> sets_;
  std::set<std::pair<Rule, Rule>> rounds_;  // of repetitions: what begins another round, and the repetition
  Rule start_ = -1;
};

}  // namespace qkv
