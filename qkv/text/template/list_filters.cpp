// Filters that choose from lists and dicts.
#include "qkv/core/error.h"
#include "qkv/text/template/allowance.h"
#include "qkv/text/template/builtins.h"
#include "qkv/text/template/filter_tables.h"
#include "qkv/text/unicode.h"

#include <array>
#include <charconv>

namespace qkv::jinja {
namespace {

Value length(const Value& value, const Arguments&) {
  if (const std::string* text = value.text()) return count_code_points(*text);
  if (const List* list = value.list(); list != nullptr && list->row != Value::Row::generator)
    return static_cast<int64_t>(list->items.size());
  if (const Dict* dict = value.dict()) return static_cast<int64_t>(dict->items.size());
  if (value.undefined()) return int64_t{0};
  throw Error("template", fmt::format("a value of type {} has no length", value.type()));
}

Value default_of(const Value& value, const Arguments& a) {
  const bool falsy = a.get(1, "boolean", false).truth();
  return value.undefined() || (falsy && !value.truth()) ? a.get(0, "default_value", "") : value;
}

Value first(const Value& value, const Arguments&) {
  const std::vector<Value> items = items_of(value);
  return items.empty() ? Value(Undefined{"first"}) : items.front();
}

Value last(const Value& value, const Arguments&) {
  const std::vector<Value> items = items_of(value);
  return items.empty() ? Value(Undefined{"last"}) : items.back();
}

Value join(const Value& value, const Arguments& a) {
  const std::string between = a.get(0, "d", "").str();
  const Value attribute = a.get(1, "attribute");
  std::string out;
  bool first = true;
  for (const Value& item : items_of(value)) {
    if (!first) out += between;
    first = false;
    out += (attribute.none() ? item : attribute_of(item, attribute.str())).str();
    Allowance::check_length(out.size());
  }
  return out;
}

Value list(const Value& value, const Arguments&) { return Value::list(items_of(value)); }

Value items(const Value& value, const Arguments&) {
  if (value.undefined()) return Value::list({}, Value::Row::generator);
  if (value.dict() == nullptr) throw Error("template", fmt::format("a value of type {} has no items", value.type()));
  return Value::list(method_of(value, "items").call()({}).list()->items, Value::Row::generator);
}

Arguments without_first(const Arguments& a, size_t count = 1) {
  Arguments rest = a;
  rest.values.erase(rest.values.begin(),
                    rest.values.begin() + static_cast<ptrdiff_t>(std::min(count, a.values.size())));
  return rest;
}

Value map(const Value& value, const Arguments& a) {
  std::vector<Value> out;
  if (const Value attribute = a.get(SIZE_MAX, "attribute"); !attribute.none()) {
    const Value missing = a.get(SIZE_MAX, "default", Undefined{});
    for (const Value& item : items_of(value)) {
      const Value found = attribute_of(item, attribute.str());
      out.push_back(found.undefined() ? missing : found);
    }
  } else {
    const BoundFilter filter = filter_named(a.at(0).str());
    for (const Value& item : items_of(value)) out.push_back(filter(item, without_first(a)));
  }
  return Value::list(std::move(out), Value::Row::generator);
}

template <bool wanted>
Value choose(const Value& value, const Arguments& a) {
  std::vector<Value> out;
  const Test test = a.values.empty() ? nullptr : test_named(a.values[0].str());
  for (const Value& item : items_of(value))
    if ((test == nullptr ? item.truth() : test(item, without_first(a))) == wanted) out.push_back(item);
  return Value::list(std::move(out), Value::Row::generator);
}

template <bool wanted>
Value choose_by_attribute(const Value& value, const Arguments& a) {
  std::vector<Value> out;
  const std::string attribute = a.at(0).str();
  const Test test = a.values.size() < 2 ? nullptr : test_named(a.values[1].str());
  for (const Value& item : items_of(value)) {
    const Value part = attribute_of(item, attribute);
    if ((test == nullptr ? part.truth() : test(part, without_first(a, 2))) == wanted) out.push_back(item);
  }
  return Value::list(std::move(out), Value::Row::generator);
}

Value reverse(const Value& value, const Arguments&) {
  std::vector<Value> items = items_of(value);
  std::reverse(items.begin(), items.end());
  if (!value.string()) return Value::list(std::move(items), Value::Row::generator);
  std::string out;
  for (const Value& item : items) out += *item.text();
  return out;
}

Value batch(const Value& value, const Arguments& a) {
  const int64_t size = a.get(0, "linecount").as_integer();
  const Value fill = a.get(1, "fill_with");
  if (size < 1 || size > 1 << 16) throw Error("template", "batch needs a size of at least 1");
  std::vector<Value> out, part;
  for (const Value& item : items_of(value)) {
    part.push_back(item);
    if (std::ssize(part) == size) out.push_back(Value::list(std::exchange(part, {})));
  }
  if (!part.empty()) {
    if (!fill.none()) part.resize(static_cast<size_t>(size), fill);
    out.push_back(Value::list(std::move(part)));
  }
  return Value::list(std::move(out), Value::Row::generator);
}

Value attr(const Value& value, const Arguments& a) {
  const std::string name = a.at(0).str();
  const bool told = value.dict() != nullptr && value.dict()->kind != Dict::Kind::dict;
  return told ? item_of(value, name) : method_of(value, name);
}

constexpr std::array<FilterEntry, 17> all_list_filters = {{{"attr", 1, attr},
                                                           {"batch", 2, batch},
                                                           {"count", 0, length},
                                                           {"d", 2, default_of},
                                                           {"default", 2, default_of},
                                                           {"first", 0, first},
                                                           {"items", 0, items},
                                                           {"join", 2, join},
                                                           {"last", 0, last},
                                                           {"length", 0, length},
                                                           {"list", 0, list},
                                                           {"map", SIZE_MAX, map},
                                                           {"reject", SIZE_MAX, choose<false>},
                                                           {"rejectattr", SIZE_MAX, choose_by_attribute<false>},
                                                           {"reverse", 0, reverse},
                                                           {"select", SIZE_MAX, choose<true>},
                                                           {"selectattr", SIZE_MAX, choose_by_attribute<true>}}};

}  // namespace

std::span<const FilterEntry> list_filters() { return all_list_filters; }

Value attribute_of(const Value& value, const std::string& path) {
  Value now = value;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('.', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    int64_t index = 0;
    const auto parsed = std::from_chars(part.data(), part.data() + part.size(), index);
    now =
        item_of(now, parsed.ec == std::errc() && parsed.ptr == part.data() + part.size() ? Value(index) : Value(part));
    begin = end + 1;
  }
  return now;
}

}  // namespace qkv::jinja
