#include "qkv/text/template/operators.h"

#include "qkv/core/error.h"
#include "qkv/text/template/allowance.h"
#include "qkv/text/template/builtins.h"

#include <cmath>

namespace qkv::jinja {
namespace {

[[noreturn]] void too_large() { throw Error("template", "a number becomes too large"); }

Value repeated(const Value& value, int64_t times) {
  if (const std::string* text = value.text()) {
    if (times > 0) {
      if (static_cast<size_t>(times) > Allowance::longest) Allowance::check_length(SIZE_MAX);
      Allowance::check_length(text->size() * static_cast<size_t>(times));
    }
    std::string out;
    for (int64_t i = 0; i < times; ++i) out += *text;
    return out;
  }
  const std::vector<Value>& items = value.list()->items;
  if (times > 0 && (times > 1 << 16 || items.size() * static_cast<size_t>(times) > 1 << 16))
    throw Error("template", "a list becomes too long");
  std::vector<Value> out;
  for (int64_t i = 0; i < times; ++i) out.insert(out.end(), items.begin(), items.end());
  return Value::list(std::move(out), value.list()->row);
}

int64_t floored(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0); }

Value power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  if (base == 0 || base == 1) return exponent == 0 ? int64_t{1} : base;
  if (base == -1) return exponent % 2 == 0 ? int64_t{1} : int64_t{-1};
  for (int64_t i = 0; i < exponent; ++i)
    if (__builtin_mul_overflow(result, base, &result)) too_large();
  return result;
}

Value integers(std::string_view o, int64_t a, int64_t b) {
  int64_t result = 0;
  if (o == "+"   ? __builtin_add_overflow(a, b, &result)
      : o == "-" ? __builtin_sub_overflow(a, b, &result)
      : o == "*" ? __builtin_mul_overflow(a, b, &result)
                 : false)
    too_large();
  if (o == "+" || o == "-" || o == "*") return result;
  if (o == "**") return b >= 0 ? power(a, b) : Value(std::pow(static_cast<double>(a), static_cast<double>(b)));
  if (b == 0) throw Error("template", "division by zero");
  if (o == "/") return static_cast<double>(a) / static_cast<double>(b);
  if (b == -1) {
    if (a == INT64_MIN) too_large();
    return o == "//" ? -a : int64_t{0};
  }
  return o == "//" ? floored(a, b) : a - floored(a, b) * b;
}

Value numbers(std::string_view o, double a, double b) {
  if (o == "+") return a + b;
  if (o == "-") return a - b;
  if (o == "*") return a * b;
  if (o == "**") return std::pow(a, b);
  if (b == 0) throw Error("template", "division by zero");
  if (o == "/") return a / b;
  // Python's: the remainder has the divisor's sign, and the quotient fits it.
  double rest = std::fmod(a, b);
  double quotient = (a - rest) / b;
  if (rest != 0 && (rest < 0) != (b < 0)) {
    rest += b;
    quotient -= 1;
  }
  if (o == "%") return rest == 0 ? std::copysign(0.0, b) : rest;
  return quotient == 0 ? std::copysign(0.0, a / b) : std::floor(quotient + 0.5);
}

}  // namespace

Value binary(std::string_view o, const Value& a, const Value& b) {
  if (o == "~") {
    std::string out = a.str() + b.str();
    Allowance::check_length(out.size());
    return out;
  }
  if (a.number() && b.number()) {
    if (a.is<double>() || b.is<double>()) return numbers(o, a.as_number(), b.as_number());
    return integers(o, a.as_integer(), b.as_integer());
  }
  if (o == "+" && a.string() && b.string()) {
    Allowance::check_length(a.text()->size() + b.text()->size());
    return *a.text() + *b.text();
  }
  if (o == "+" && a.list() != nullptr && b.list() != nullptr && a.list()->row == b.list()->row) {
    std::vector<Value> items = a.list()->items;
    items.insert(items.end(), b.list()->items.begin(), b.list()->items.end());
    return Value::list(std::move(items), a.list()->row);
  }
  if (o == "*" && b.integer() && (a.string() || a.list() != nullptr)) return repeated(a, b.as_integer());
  if (o == "*" && a.integer() && (b.string() || b.list() != nullptr)) return repeated(b, a.as_integer());
  if (o == "%" && a.string()) return formatted(*a.text(), b);
  for (const Value* value : {&a, &b})
    if (value->undefined()) throw Error("template", fmt::format("'{}' is undefined", value->undefined_name()));
  throw Error("template", fmt::format("'{}' does not work on {} and {}", o, a.type(), b.type()));
}

Value unary(std::string_view o, const Value& a) {
  if (o == "not") return !a.truth();
  if (a.is<double>()) return o == "-" ? -a.as_number() : a.as_number();
  const int64_t number = a.as_integer();
  if (o == "-" && number == INT64_MIN) too_large();
  return o == "-" ? -number : number;
}

}  // namespace qkv::jinja
