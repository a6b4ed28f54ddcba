// What templates may call: filters, tests, and the methods of strings, lists and dicts. Nothing here changes a value
// that somebody else holds, reads a file or runs without end.
#pragma once

#include "qkv/text/template/value.h"

#include <functional>
#include <string_view>

namespace qkv::jinja {

using Filter = Value (*)(const Value& value, const Arguments& arguments);
using Test = bool (*)(const Value& value, const Arguments& arguments);

// Throw Error for names that are not known; the nearest is named.
using BoundFilter = std::function<Value(const Value&, const Arguments&)>;
BoundFilter filter_named(std::string_view name);
Test test_named(std::string_view name);

// value.name as a method bound to the value, or undefined.
Value method_of(const Value& value, const std::string& name);

// What a for loop or a filter goes through: a list's values, a dict's keys, a string's characters. Throws Error for
// others; undefined is empty.
std::vector<Value> items_of(const Value& value);

// value.name and value[key] without methods: undefined where there is none.
Value item_of(const Value& value, const Value& key);

// Python's % on strings (%s, %d, %r, %f, %%).
std::string formatted(const std::string& format, const Value& values);

// Whether a string, list or dict contains a value.
bool contains(const Value& container, const Value& value);

}  // namespace qkv::jinja
