// What rules contain: whether they can begin with themselves, and whether they ever end.
#include "qkv/generate/grammar/grammar.h"

#include <algorithm>

namespace qkv {

bool Grammar::has_character(int32_t set) const {
  const auto& ranges = sets_[static_cast<size_t>(set)];
  return std::any_of(ranges.begin(), ranges.end(), [](const CharacterRange& range) {
    return range.first <= range.second && (range.first < 0xD800 || range.second > 0xDFFF);
  });
}

std::vector<bool> Grammar::rules_with_texts(bool of_nothing) const {
  struct Alternative {
    Rule rule;
    int64_t missing = 0;  // symbols that are not known to have one
  };
  std::vector<Alternative> alternatives;
  std::vector<std::vector<size_t>> users(rules_.size());
  std::vector<bool> known(rules_.size(), false);
  std::vector<Rule> open;
  const auto become = [&](Rule rule) {
    if (known[static_cast<size_t>(rule)]) return;
    known[static_cast<size_t>(rule)] = true;
    open.push_back(rule);
  };
  for (size_t r = 0; r < rules_.size(); ++r)
    for (const int32_t begin : rules_[r]) {
      Alternative a{static_cast<Rule>(r)};
      for (auto at = static_cast<size_t>(begin); symbols_[at].kind != Kind::end; ++at) {
        if (symbols_[at].kind == Kind::characters && !of_nothing && has_character(symbols_[at].value)) continue;
        ++a.missing;
        if (symbols_[at].kind == Kind::rule)
          users[static_cast<size_t>(symbols_[at].value)].push_back(alternatives.size());
      }
      if (a.missing == 0) become(a.rule);
      alternatives.push_back(a);
    }
  while (!open.empty()) {
    const Rule rule = open.back();
    open.pop_back();
    for (const size_t user : users[static_cast<size_t>(rule)])
      if (--alternatives[user].missing == 0) become(alternatives[user].rule);
  }
  return known;
}

bool Grammar::keep_what_ends() {
  const std::vector<bool> ends = rules_with_texts(false);
  for (std::vector<int32_t>& alternatives : rules_)
    std::erase_if(alternatives, [&](int32_t begin) {
      for (auto at = static_cast<size_t>(begin); symbols_[at].kind != Kind::end; ++at)
        if (symbols_[at].kind == Kind::characters ? !has_character(symbols_[at].value)
                                                  : !ends[static_cast<size_t>(symbols_[at].value)])
          return true;
      return false;
    });
  return ends[static_cast<size_t>(start_)];
}

std::vector<Grammar::Rule> Grammar::left_recursion() const {
  const std::vector<bool> nothing = rules_with_texts(true);
  std::vector<std::vector<Rule>> first(rules_.size()), before(rules_.size());
  for (size_t r = 0; r < rules_.size(); ++r)
    for (const int32_t begin : rules_[r])
      for (auto at = static_cast<size_t>(begin); symbols_[at].kind == Kind::rule; ++at) {
        const Rule next = symbols_[at].value;
        if (rounds_.count({static_cast<Rule>(r), next}) == 0) {
          first[r].push_back(next);
          before[static_cast<size_t>(next)].push_back(static_cast<Rule>(r));
        }
        if (!nothing[static_cast<size_t>(next)]) break;
      }
  // Who begins with none that is left is no part of a circle, nor then those that begin with it alone.
  std::vector<size_t> left(rules_.size());
  std::vector<Rule> done;
  for (size_t r = 0; r < rules_.size(); ++r)
    if ((left[r] = first[r].size()) == 0) done.push_back(static_cast<Rule>(r));
  while (!done.empty()) {
    const Rule rule = done.back();
    done.pop_back();
    for (const Rule user : before[static_cast<size_t>(rule)])
      if (--left[static_cast<size_t>(user)] == 0) done.push_back(user);
  }
  const auto some = std::find_if(left.begin(), left.end(), [](size_t count) { return count > 0; });
  if (some == left.end()) return {};
  // From one that is left, always on to another that is left, until one comes again.
  std::vector<Rule> way = {static_cast<Rule>(some - left.begin())};
  std::vector<bool> met(rules_.size(), false);
  while (!met[static_cast<size_t>(way.back())]) {
    met[static_cast<size_t>(way.back())] = true;
    const auto& next = first[static_cast<size_t>(way.back())];
    way.push_back(*std::find_if(next.begin(), next.end(), [&](Rule r) { return left[static_cast<size_t>(r)] > 0; }));
  }
  way.erase(way.begin(), std::find(way.begin(), way.end(), way.back()));
  return way;
}

}  // namespace qkv
