// Regular expressions as tokenizer files write them (Oniguruma's Ruby syntax with Unicode), on PCRE2 with its JIT.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace qkv {

class Regex {
 public:
  // Throws Error naming `where` when the pattern does not compile. Unicode classes are Oniguruma's:
  // \s is the White_Space property, \w is Alphabetic, marks, decimal digits and connectors.
  Regex(std::string_view pattern, std::string_view where);

  // A pattern that matches this text.
  static Regex literal(std::string_view text);

  struct Match {
    size_t begin;
    size_t end;
  };

  // Calls found(Match) for the matches in valid UTF-8, left to right; empty matches too, but for those that
  // stand directly behind a match. Throws Error when
  // a match needs more backtracking than PCRE2 allows.
  template <typename Found>
  void for_each_match(std::string_view text, Found&& found) const {
    Match match{};
    size_t last_end = std::string_view::npos;
    for (size_t from = 0; from <= text.size() && find(text, from, match);) {
      const bool empty = match.end == match.begin;
      if (!empty || match.end != last_end) found(match);
      last_end = match.end;
      from = empty ? after(text, match.end) : match.end;
    }
  }

 private:
  struct Compiled;
  bool find(std::string_view text, size_t from, Match& match) const;
  static size_t after(std::string_view text, size_t position);

  std::string pattern_;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace qkv
