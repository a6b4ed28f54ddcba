#include "qkv/generate/grammar/number_range.h"

#include <algorithm>
#include <charconv>

namespace qkv {
namespace {

using Rule = Grammar::Rule;

constexpr size_t longest_decimal = 40;
constexpr size_t most_free_digits = 16;  // of integers that no bound stops
// Different numbers of so many digits are different in floating point.
constexpr size_t certain_digits = 15;

// Numbers that are not negative. A text of `whole` digits follows a bound as long as all of its digits are the bound's:
// then the next one must not pass the bound's; else any will do.
class Magnitudes {
 public:
  Magnitudes(Grammar& grammar, bool fractions, const NumberRange& range) : g_(grammar) {
    digit_ = g_.one_of({{'0', '9'}});
    if (!fractions) return;
    digits_ = certain_digits;
    const auto take = [&](const std::optional<Bound>& bound) {
      if (!bound) return;
      exact_ = exact_ || !bound->inclusive;
      fraction_ = std::max(fraction_, bound->at.fraction.size());
    };
    take(range.least);
    take(range.most);
    if (exact_) fraction_ = 0;
  }

  std::optional<Rule> within(const Bound& least, const std::optional<Bound>& most) {
    const size_t shortest = least.at.whole.size();
    const size_t usual = digits_ > 0 ? digits_ : most_free_digits;
    const size_t longest = most ? most->at.whole.size() : std::max(usual, shortest);
    std::vector<Rule> ways;
    const auto add = [&](std::optional<Rule> rule) {
      if (rule) ways.push_back(*rule);
    };
    add(rest(0, shortest, &least, most && longest == shortest ? &*most : nullptr));
    const size_t behind = most ? longest - 1 : longest;  // the longest that neither bound touches
    if (shortest + 1 <= behind) add(of_lengths(shortest + 1, behind));
    if (most && longest > shortest) add(rest(0, longest, nullptr, &*most));
    return chosen(ways);
  }

 private:
  size_t fraction_digits(size_t whole) const { return std::max(digits_ > whole ? digits_ - whole : 0, fraction_); }
  std::optional<Rule> chosen(const std::vector<Rule>& ways) {
    if (ways.empty()) return {};
    return ways.size() == 1 ? ways[0] : g_.choice(ways);
  }
  static char digit_of(const Bound& bound, size_t i) {
    const Decimal& d = bound.at;
    if (i < d.whole.size()) return d.whole[i];
    return i - d.whole.size() < d.fraction.size() ? d.fraction[i - d.whole.size()] : '0';
  }
  static bool all_said(const Bound& bound, size_t i) { return i >= bound.at.whole.size() + bound.at.fraction.size(); }

  Rule fraction(size_t whole) {
    const size_t most = fraction_digits(whole);
    if (most == 0) return g_.literal("");
    return g_.optional(g_.sequence({g_.literal("."), g_.repeated(digit_, 1, static_cast<int64_t>(most))}));
  }

  // Behind i of the digits, where no bound is followed any more.
  Rule any(size_t i, size_t whole) {
    if (i > whole) return g_.repeated(digit_, 0, static_cast<int64_t>(whole + fraction_digits(whole) - i));
    const auto missing = static_cast<int64_t>(whole - i);
    return g_.sequence({g_.repeated(digit_, missing, missing), fraction(whole)});
  }

  // Behind i of the digits, which are those of the bounds that are given.
  std::optional<Rule> rest(size_t i, size_t whole, const Bound* least, const Bound* most) {
    if (least == nullptr && most == nullptr) return any(i, whole);
    std::vector<Rule> ways;
    // What may end: no digit of the lower bound is missing, and one of the upper is, or it belongs to the range.
    if (i >= whole && (least == nullptr || (all_said(*least, i) && least->inclusive)) &&
        (most == nullptr || !all_said(*most, i) || most->inclusive))
      ways.push_back(g_.literal(""));
    const auto go_on = [&](char first, char last, const Bound* low, const Bound* high) {
      if (first > last) return;
      const std::optional<Rule> then = rest(i + 1, whole, low, high);
      if (!then) return;
      const Rule one = g_.one_of({{static_cast<char32_t>(first), static_cast<char32_t>(last)}});
      ways.push_back(i == whole ? g_.sequence({g_.literal("."), one, *then}) : g_.sequence({one, *then}));
    };
    if (i < whole + fraction_digits(whole)) {
      const char first = i == 0 && whole > 1 ? '1' : '0';
      const char low = least != nullptr ? digit_of(*least, i) : first,
                 high = most != nullptr ? digit_of(*most, i) : '9';
      if (least != nullptr && most != nullptr && low == high) {
        go_on(low, high, least, most);
      } else {
        if (least != nullptr) go_on(low, low, least, nullptr);
        go_on(least != nullptr ? static_cast<char>(low + 1) : low, most != nullptr ? static_cast<char>(high - 1) : high,
              nullptr, nullptr);
        if (most != nullptr) go_on(high, high, nullptr, most);
      }
    }
    return chosen(ways);
  }

  // Any of so many digits in front of the point.
  Rule of_lengths(size_t shortest, size_t longest) {
    Rule behind = fraction(longest);
    for (size_t n = longest - 1; n > 0; --n) {
      const Rule more = g_.sequence({digit_, behind});
      behind = n >= shortest ? g_.choice({more, fraction(n)}) : more;
    }
    return g_.sequence({g_.one_of({{'1', '9'}}), behind});
  }

  Grammar& g_;
  Rule digit_;
  size_t digits_ = 0;    // of a number with a fraction, in all
  size_t fraction_ = 0;  // digits that bounds have there
  bool exact_ = false;   // a bound does not belong to the range
};

std::optional<Rule> within(Grammar& grammar, const NumberRange& range, bool fractions) {
  const auto& [least, most] = range;
  if (least && most) {
    const int order = least->at.compare(most->at);
    if (order > 0 || (order == 0 && !(least->inclusive && most->inclusive))) return {};
  }
  if (fractions && ((least && !least->inclusive) || (most && !most->inclusive)))
    for (const auto& bound : {least, most})
      if (bound && bound->at.whole.size() + bound->at.fraction.size() > certain_digits) return {};
  Magnitudes magnitudes(grammar, fractions, range);
  std::vector<Rule> ways;
  const Bound nought;
  const auto turned = [](std::optional<Bound> bound) {
    if (bound) bound->at.negative = false;
    return bound;
  };
  if (!most || !most->at.negative) {
    const bool above = least && !least->at.negative;
    if (const auto rule = magnitudes.within(above ? *least : nought, most)) ways.push_back(*rule);
  }
  if (!least || least->at.negative) {
    const bool below = most && most->at.negative;
    // Zero is not said twice.
    const Bound from = below ? *turned(most) : Bound{.inclusive = false};
    if (const auto rule = magnitudes.within(from, turned(least)))
      ways.push_back(grammar.sequence({grammar.literal("-"), *rule}));
  }
  if (ways.empty()) return {};
  return grammar.choice(ways);
}

}  // namespace

std::optional<Decimal> Decimal::of(const OrderedJson& number) {
  const std::string text = number.dump();
  const size_t mark = std::min(text.find_first_of("eE"), text.size());
  int64_t exponent = 0;
  if (mark < text.size()) {
    const size_t from = mark + (text[mark + 1] == '+' ? 2 : 1);
    std::from_chars(text.data() + from, text.data() + text.size(), exponent);
  }
  Decimal d;
  d.negative = text[0] == '-';
  std::string digits;
  int64_t whole = -1;  // digits in front of the point
  for (const char c : text.substr(0, mark)) {
    if (c == '.') whole = std::ssize(digits);
    if (c >= '0' && c <= '9') digits += c;
  }
  whole = (whole < 0 ? std::ssize(digits) : whole) + exponent;
  constexpr auto longest = static_cast<int64_t>(longest_decimal);
  if (whole > longest || whole < -longest) return {};
  if (whole < 0) digits.insert(0, static_cast<size_t>(-whole), '0');
  whole = std::max<int64_t>(0, whole);
  if (std::ssize(digits) < whole) digits.resize(static_cast<size_t>(whole), '0');
  d.fraction = digits.substr(static_cast<size_t>(whole));
  d.whole = digits.substr(0, static_cast<size_t>(whole));
  d.whole.erase(0, std::min(d.whole.find_first_not_of('0'), d.whole.size()));
  while (d.fraction.ends_with('0')) d.fraction.pop_back();
  if (d.whole.empty()) d.whole.push_back('0');
  if (d.whole.size() + d.fraction.size() > longest_decimal) return {};
  if (d.whole == "0" && d.fraction.empty()) d.negative = false;
  return d;
}

int Decimal::compare(const Decimal& other) const {
  if (negative != other.negative) return negative ? -1 : 1;
  int order =
      whole.size() != other.whole.size() ? (whole.size() < other.whole.size() ? -1 : 1) : whole.compare(other.whole);
  if (order == 0) order = fraction.compare(other.fraction);
  return negative ? -order : order;
}

void NumberRange::from(const Bound& bound) {
  const int order = least ? bound.at.compare(least->at) : 1;
  if (order > 0 || (order == 0 && !bound.inclusive)) least = bound;
}

void NumberRange::upto(const Bound& bound) {
  const int order = most ? bound.at.compare(most->at) : -1;
  if (order < 0 || (order == 0 && !bound.inclusive)) most = bound;
}

std::optional<Rule> integers_within(Grammar& grammar, const NumberRange& range) {
  return within(grammar, range, false);
}
std::optional<Rule> numbers_within(Grammar& grammar, const NumberRange& range) { return within(grammar, range, true); }

}  // namespace qkv
