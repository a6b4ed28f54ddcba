// Filters that make numbers.
#include "qkv/core/error.h"
#include "qkv/text/template/builtins.h"
#include "qkv/text/template/filter_tables.h"
#include "qkv/text/template/operators.h"

#include <array>
#include <charconv>
#include <cmath>

namespace qkv::jinja {
namespace {

std::string stripped(const Value& value) { return *method_of(value, "strip").call()({}).text(); }

Value to_int(const Value& value, const Arguments& a) {
  const Value missing = a.get(0, "default", int64_t{0});
  if (value.number()) {
    const double number = std::trunc(value.as_number());
    return value.is<double>() ? (std::abs(number) < 9e18 ? Value(static_cast<int64_t>(number)) : missing)
                              : Value(value.as_integer());
  }
  if (value.undefined()) throw Error("template", fmt::format("'{}' is undefined", value.undefined_name()));
  if (!value.string()) return missing;
  const std::string text = stripped(value);
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const char* end = text.data() + text.size();
  int64_t whole = 0;
  if (const auto r = std::from_chars(begin, end, whole); r.ec == std::errc() && r.ptr == end) return whole;
  double number = 0;
  const auto r = std::from_chars(begin, end, number);
  if (r.ec == std::errc() && r.ptr == end && std::abs(number) < 9e18) return static_cast<int64_t>(number);
  return missing;
}

Value to_float(const Value& value, const Arguments& a) {
  if (value.number()) return value.as_number();
  if (value.undefined()) throw Error("template", fmt::format("'{}' is undefined", value.undefined_name()));
  const std::string text = value.string() ? stripped(value) : "";
  double number = 0;
  const auto r = std::from_chars(text.data(), text.data() + text.size(), number);
  return !text.empty() && r.ec == std::errc() && r.ptr == text.data() + text.size() ? Value(number)
                                                                                    : a.get(0, "default", 0.0);
}

// Integers stay what they are unless "ceil" or "floor" is asked for.
Value round(const Value& value, const Arguments& a) {
  const int64_t precision = a.get(0, "precision", int64_t{0}).as_integer();
  const std::string method = a.get(1, "method", "common").str();
  if (std::abs(static_cast<double>(precision)) > 100) throw Error("template", "round has a precision of 100 at most");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (method == "ceil") return (std::ceil(value.as_number() * scale) + 0.0) / scale;
  if (method == "floor") return std::floor(value.as_number() * scale) / scale;
  if (method != "common") throw Error("template", "round knows the methods common, ceil and floor");
  if (!value.is<double>() && precision >= 0) return value.as_integer();
  if (precision < 0) {
    const double rounded = std::nearbyint(value.as_number() * scale) / scale;
    return value.is<double>() ? Value(rounded) : Value(static_cast<int64_t>(rounded));
  }
  // The decimal digits of a float are those of its exact value, halves to even.
  char buffer[512];
  std::snprintf(buffer, sizeof buffer, "%.*f", static_cast<int>(precision), value.as_number());
  return std::strtod(buffer, nullptr);
}

Value abs(const Value& value, const Arguments&) {
  if (value.is<double>()) return std::abs(value.as_number());
  const int64_t number = value.as_integer();
  if (number == INT64_MIN) throw Error("template", "a number is too large");
  return number < 0 ? -number : number;
}

Value sum(const Value& value, const Arguments& a) {
  const Value attribute = a.get(0, "attribute");
  Value total = a.get(1, "start", int64_t{0});
  for (const Value& item : items_of(value))
    total = binary("+", total, attribute.none() ? item : attribute_of(item, attribute.str()));
  return total;
}

constexpr std::array<FilterEntry, 5> all_number_filters = {
    {{"abs", 0, abs}, {"float", 1, to_float}, {"int", 1, to_int}, {"round", 2, round}, {"sum", 2, sum}}};

}  // namespace

std::span<const FilterEntry> number_filters() { return all_number_filters; }

}  // namespace qkv::jinja
