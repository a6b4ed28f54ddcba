#include "qkv/generate/grammar/grammar.h"

#include "qkv/core/error.h"
#include "qkv/text/unicode.h"

#include <algorithm>
#include <map>

namespace qkv {
namespace {

constexpr size_t most_symbols = 100'000;
constexpr size_t deepest_way = 512;   // of what is still to be matched
constexpr size_t most_ways = 10'000;  // in which a text may go on

}  // namespace

std::vector<CharacterRange> complement(std::vector<CharacterRange> ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::vector<CharacterRange> rest;
  char32_t next = 0;
  for (const auto& [first, last] : ranges) {
    if (first > next) rest.emplace_back(next, first - 1);
    next = std::max(next, static_cast<char32_t>(last + 1));
  }
  if (next <= last_character) rest.emplace_back(next, last_character);
  return rest;
}

int32_t Grammar::add_alternative(const std::vector<Symbol>& symbols) {
  if (symbols_.size() + symbols.size() >= most_symbols)
    throw Error("grammar", fmt::format("has more than {} symbols", most_symbols), "ask for something simpler");
  const auto begin = static_cast<int32_t>(symbols_.size());
  symbols_.insert(symbols_.end(), symbols.begin(), symbols.end());
  symbols_.push_back({Kind::end});
  return begin;
}

Grammar::Rule Grammar::add_rule(std::vector<int32_t> alternatives) {
  rules_.push_back(std::move(alternatives));
  return static_cast<Rule>(rules_.size() - 1);
}

Grammar::Rule Grammar::literal(std::string_view utf8) {
  std::vector<Symbol> symbols;
  for (const char* p = utf8.data(); p < utf8.data() + utf8.size();) {
    const char32_t c = next_code_point(p);
    symbols.push_back({Kind::characters, static_cast<int32_t>(sets_.size())});
    sets_.push_back({{c, c}});
  }
  return add_rule({add_alternative(symbols)});
}

Grammar::Rule Grammar::one_of(std::vector<CharacterRange> ranges) {
  sets_.push_back(std::move(ranges));
  return add_rule({add_alternative({{Kind::characters, static_cast<int32_t>(sets_.size() - 1)}})});
}

Grammar::Rule Grammar::sequence(const std::vector<Rule>& parts) {
  std::vector<Symbol> symbols;
  for (const Rule part : parts) symbols.push_back({Kind::rule, part});
  return add_rule({add_alternative(symbols)});
}

Grammar::Rule Grammar::choice(const std::vector<Rule>& rules) {
  std::vector<int32_t> alternatives;
  for (const Rule rule : rules) alternatives.push_back(add_alternative({{Kind::rule, rule}}));
  return add_rule(std::move(alternatives));
}

Grammar::Rule Grammar::optional(Rule rule) { return choice({rule, literal("")}); }

Grammar::Rule Grammar::repeated(Rule rule, int64_t least, int64_t most) {
  if (least > static_cast<int64_t>(most_symbols) || most > static_cast<int64_t>(most_symbols))
    throw Error("grammar", "repeats something too often");
  Rule rest;
  if (most < 0) {
    rest = declare();
    const Rule round = sequence({rule, rest});
    rounds_.emplace(round, rest);
    define(rest, choice({round, literal("")}));
  } else {
    rest = literal("");
    for (int64_t i = least; i < most; ++i) rest = choice({sequence({rule, rest}), literal("")});
  }
  std::vector<Rule> parts(static_cast<size_t>(least), rule);
  parts.push_back(rest);
  return sequence(parts);
}

Grammar::Rule Grammar::declare() { return add_rule({}); }

void Grammar::define(Rule declared, Rule rule) {
  rules_[static_cast<size_t>(declared)] = rules_[static_cast<size_t>(rule)];
}

bool Grammar::matches(int32_t set, char32_t c) const {
  const auto& ranges = sets_[static_cast<size_t>(set)];
  return std::any_of(ranges.begin(), ranges.end(),
                     [c](const CharacterRange& r) { return r.first <= c && c <= r.second; });
}

// Puts characters, or the end, at the top of every way. Each way is met once, which ends repetitions of nothing.
void Grammar::expand(std::vector<std::vector<int32_t>> open, State& state) const {
  std::set<std::vector<int32_t>> met(open.begin(), open.end());
  std::set<std::vector<int32_t>> found;
  const auto meet = [&](std::vector<int32_t> way) {
    if (way.size() > deepest_way || met.size() > most_ways)
      throw Error("grammar", "can go on in too many ways",
                  "ask for something simpler, and nothing that begins with itself");
    if (met.insert(way).second) open.push_back(std::move(way));
  };
  while (!open.empty()) {
    std::vector<int32_t> way = std::move(open.back());
    open.pop_back();
    if (way.empty()) {
      found.insert(std::move(way));
      continue;
    }
    const auto at = static_cast<size_t>(way.back());
    const Symbol symbol = symbols_[at];
    if (symbol.kind == Kind::characters) {
      found.insert(std::move(way));
      continue;
    }
    way.pop_back();
    if (symbol.kind == Kind::end) {
      meet(std::move(way));
      continue;
    }
    // What stands last in its rule leaves nothing to come back to.
    if (symbols_[at + 1].kind != Kind::end) way.push_back(static_cast<int32_t>(at + 1));
    for (const int32_t alternative : rules_[static_cast<size_t>(symbol.value)]) {
      way.push_back(alternative);
      meet(way);
      way.pop_back();
    }
  }
  state.assign(found.begin(), found.end());
}

Grammar::State Grammar::begin() const {
  std::vector<std::vector<int32_t>> open;
  for (const int32_t alternative : rules_[static_cast<size_t>(start_)]) open.push_back({alternative});
  State state;
  expand(std::move(open), state);
  return state;
}

std::vector<CharacterRange> Grammar::next_characters(const State& state) const {
  std::set<int32_t> sets;
  for (const std::vector<int32_t>& way : state)
    if (!way.empty()) sets.insert(symbols_[static_cast<size_t>(way.back())].value);
  // Where ranges begin (+1) and have ended (-1). Surrogates, which are no text, are in none.
  std::map<char32_t, int> bounds;
  const auto add = [&](char32_t first, char32_t last) {
    if (first > last) return;
    ++bounds[first];
    --bounds[last + 1];
  };
  for (const int32_t set : sets)
    for (const auto& [first, last] : sets_[static_cast<size_t>(set)]) {
      add(first, std::min<char32_t>(last, 0xD7FF));
      add(std::max<char32_t>(first, 0xE000), std::min(last, last_character));
    }
  std::vector<CharacterRange> ranges;
  int open = 0;
  for (auto bound = bounds.begin(); bound != bounds.end(); ++bound) {
    open += bound->second;
    if (open > 0) ranges.emplace_back(bound->first, std::next(bound)->first - 1);
  }
  return ranges;
}

Grammar::State Grammar::after(const State& state, char32_t c) const {
  std::vector<std::vector<int32_t>> open;
  for (const std::vector<int32_t>& way : state) {
    if (way.empty() || !matches(symbols_[static_cast<size_t>(way.back())].value, c)) continue;
    open.push_back(way);
    ++open.back().back();
  }
  State next;
  if (!open.empty()) expand(std::move(open), next);
  return next;
}

}  // namespace qkv
