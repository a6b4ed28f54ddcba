// Numbers between bounds, digit by digit.
#pragma once

#include "qkv/core/ordered_json.h"
#include "qkv/generate/grammar/grammar.h"

#include <optional>
#include <string>

namespace qkv {

// A number as its digits, exactly.
struct Decimal {
  bool negative = false;              // never of 0
  std::string whole = "0", fraction;  // without zeros that say nothing

  // Of a number in JSON; nothing for one of more than 40 digits.
  static std::optional<Decimal> of(const OrderedJson& number);
  int compare(const Decimal& other) const;  // below, 0, above
};

struct Bound {
  Decimal at;
  bool inclusive = true;
};

struct NumberRange {
  std::optional<Bound> least, most;
  // The tighter bound counts.
  void from(const Bound& bound);
  void upto(const Bound& bound);
};

// The numbers of a range, without an exponent: integers, or such of 15 digits (or as many as the bounds have), which
// stay on their side of a bound when they are read as floating point. Nothing: there is none, or a bound that does not
// belong to the range has more digits than that.
std::optional<Grammar::Rule> integers_within(Grammar& grammar, const NumberRange& range);
std::optional<Grammar::Rule> numbers_within(Grammar& grammar, const NumberRange& range);

}  // namespace qkv
