// Filters that compare the items of a list.
#include "qkv/core/error.h"
#include "qkv/text/template/builtins.h"
#include "qkv/text/template/case.h"
#include "qkv/text/template/filter_tables.h"

#include <algorithm>
#include <array>

namespace qkv::jinja {
namespace {

// What sorting compares: strings without regard to case unless told otherwise.
Value sort_key(const Value& item, const Value& attribute, bool case_sensitive) {
  const Value key = attribute.none() ? item : attribute_of(item, attribute.str());
  return key.string() && !case_sensitive ? Value(lower_case(*key.text())) : key;
}

Value sort(const Value& value, const Arguments& a) {
  const bool reverse = a.get(0, "reverse", false).truth();
  const bool case_sensitive = a.get(1, "case_sensitive", false).truth();
  const Value attribute = a.get(2, "attribute");
  std::vector<std::pair<Value, Value>> keyed;
  for (const Value& item : items_of(value)) keyed.emplace_back(sort_key(item, attribute, case_sensitive), item);
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& x, const auto& y) {
    if (x.first == y.first) return false;  // even where there is no order
    const int order = x.first.compare(y.first);
    return reverse ? order > 0 : order < 0;
  });
  std::vector<Value> out;
  for (auto& [key, item] : keyed) out.push_back(std::move(item));
  return Value::list(std::move(out));
}

Value dictsort(const Value& value, const Arguments& a) {
  const std::string by = a.get(1, "by", "key").str() == "value" ? "1" : "0";
  const Value pairs = method_of(value, "items");
  if (!pairs.function()) throw Error("template", fmt::format("a value of type {} is no dict", value.type()));
  return sort(pairs.call()({}), {{a.get(2, "reverse", false), a.get(0, "case_sensitive", false), by}, {}});
}

Value unique(const Value& value, const Arguments& a) {
  std::vector<Value> keys, out;
  for (const Value& item : items_of(value)) {
    const Value key = sort_key(item, a.get(1, "attribute"), a.get(0, "case_sensitive", false).truth());
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    keys.push_back(key);
    out.push_back(item);
  }
  return Value::list(std::move(out), Value::Row::generator);
}

template <int sign>
Value extreme(const Value& value, const Arguments& a) {
  const Value attribute = a.get(1, "attribute");
  const bool case_sensitive = a.get(0, "case_sensitive", false).truth();
  Value best = Undefined{"an extreme of nothing"}, best_key;
  bool found = false;
  for (const Value& item : items_of(value)) {
    const Value key = sort_key(item, attribute, case_sensitive);
    if (found && sign * key.compare(best_key) <= 0) continue;
    found = true;
    best = item;
    best_key = key;
  }
  return best;
}

Value groupby(const Value& value, const Arguments& a) {
  const Value attribute = a.get(0, "attribute");
  std::vector<Value> out;
  Value key;
  std::vector<Value> members;
  const auto close = [&] {
    if (members.empty()) return;
    out.push_back(Value::list({key, Value::list(std::exchange(members, {}))}, Value::Row::tuple));
  };
  const Value sorted = sort(value, {{false, false, attribute}, {}});
  for (const Value& item : sorted.list()->items) {
    const Value own = attribute_of(item, attribute.str());
    if (!members.empty() && !(own == key)) close();
    if (members.empty()) key = own;
    members.push_back(item);
  }
  close();
  return Value::list(std::move(out));
}

constexpr std::array<FilterEntry, 6> all_order_filters = {{{"dictsort", 3, dictsort},
                                                           {"groupby", 3, groupby},
                                                           {"max", 2, extreme<1>},
                                                           {"min", 2, extreme<-1>},
                                                           {"sort", 3, sort},
                                                           {"unique", 2, unique}}};

}  // namespace

std::span<const FilterEntry> order_filters() { return all_order_filters; }

}  // namespace qkv::jinja
