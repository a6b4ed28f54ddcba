#include "qkv/core/error.h"
#include "qkv/text/template/builtins.h"
#include "qkv/text/template/case.h"
#include "qkv/text/template/operators.h"

#include <array>
#include <string>

namespace qkv::jinja {
namespace {

bool leaves(const Value& value, const Value& divisor, int64_t rest) {
  value.as_number();  // else it could be a format
  return binary("%", value, divisor) == Value(rest);
}

bool is_defined(const Value& v, const Arguments&) { return !v.undefined(); }
bool is_undefined(const Value& v, const Arguments&) { return v.undefined(); }
bool is_none(const Value& v, const Arguments&) { return v.none(); }
bool is_string(const Value& v, const Arguments&) { return v.string(); }
bool is_number(const Value& v, const Arguments&) { return v.number(); }
bool is_integer(const Value& v, const Arguments&) { return v.integer(); }
bool is_float(const Value& v, const Arguments&) { return v.is<double>(); }
bool is_boolean(const Value& v, const Arguments&) { return v.boolean(); }
bool is_true(const Value& v, const Arguments&) { return v.boolean() && v.truth(); }
bool is_false(const Value& v, const Arguments&) { return v.boolean() && !v.truth(); }
bool is_mapping(const Value& v, const Arguments&) { return v.dict() != nullptr && v.dict()->kind == Dict::Kind::dict; }
bool is_iterable(const Value& v, const Arguments&) {
  return v.string() || v.list() != nullptr || v.undefined() ||
         (v.dict() != nullptr && v.dict()->kind == Dict::Kind::dict);
}
bool is_sequence(const Value& v, const Arguments& a) {
  return is_iterable(v, a) && (v.list() == nullptr || v.list()->row != Value::Row::generator);
}
bool is_callable(const Value& v, const Arguments&) { return v.function(); }
bool is_even(const Value& v, const Arguments&) { return leaves(v, int64_t{2}, 0); }
bool is_odd(const Value& v, const Arguments&) { return leaves(v, int64_t{2}, 1); }
bool divisible(const Value& v, const Arguments& a) { return leaves(v, a.at(0), 0); }
bool equal(const Value& v, const Arguments& a) { return v == a.at(0); }
bool unequal(const Value& v, const Arguments& a) { return !(v == a.at(0)); }
bool less(const Value& v, const Arguments& a) { return v.compare(a.at(0)) < 0; }
bool greater(const Value& v, const Arguments& a) { return v.compare(a.at(0)) > 0; }
bool less_equal(const Value& v, const Arguments& a) { return v.compare(a.at(0)) <= 0; }
bool greater_equal(const Value& v, const Arguments& a) { return v.compare(a.at(0)) >= 0; }
bool is_in(const Value& v, const Arguments& a) { return contains(a.at(0), v); }
bool is_lower(const Value& v, const Arguments&) {
  const std::string text = v.str();
  return lower_case(text) == text && upper_case(text) != text;
}
bool is_upper(const Value& v, const Arguments&) {
  const std::string text = v.str();
  return upper_case(text) == text && lower_case(text) != text;
}
bool same_as(const Value& v, const Arguments& a) { return v.type() == a.at(0).type() && v == a.at(0); }

struct TestEntry {
  std::string_view name;
  Test test;
};
constexpr std::array<TestEntry, 36> tests = {{{"defined", is_defined},
                                              {"undefined", is_undefined},
                                              {"none", is_none},
                                              {"string", is_string},
                                              {"number", is_number},
                                              {"integer", is_integer},
                                              {"float", is_float},
                                              {"boolean", is_boolean},
                                              {"true", is_true},
                                              {"false", is_false},
                                              {"mapping", is_mapping},
                                              {"sequence", is_sequence},
                                              {"iterable", is_iterable},
                                              {"callable", is_callable},
                                              {"even", is_even},
                                              {"odd", is_odd},
                                              {"divisibleby", divisible},
                                              {"eq", equal},
                                              {"equalto", equal},
                                              {"==", equal},
                                              {"ne", unequal},
                                              {"!=", unequal},
                                              {"lt", less},
                                              {"lessthan", less},
                                              {"<", less},
                                              {"gt", greater},
                                              {"greaterthan", greater},
                                              {">", greater},
                                              {"le", less_equal},
                                              {"<=", less_equal},
                                              {"ge", greater_equal},
                                              {">=", greater_equal},
                                              {"in", is_in},
                                              {"lower", is_lower},
                                              {"upper", is_upper},
                                              {"sameas", same_as}}};

}  // namespace

Test test_named(std::string_view name) {
  std::vector<std::string> names;
  for (const TestEntry& entry : tests) {
    if (entry.name == name) return entry.test;
    names.emplace_back(entry.name);
  }
  const std::string near = nearest(name, names);
  throw Error("template", fmt::format("there is no test '{}'", name), near.empty() ? "" : "write " + near);
}

}  // namespace qkv::jinja
