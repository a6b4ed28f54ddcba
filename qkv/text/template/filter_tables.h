// The filters by what they are about, for filter_named().
#pragma once

#include "qkv/text/template/builtins.h"

#include <span>
#include <string_view>

namespace qkv::jinja {

struct FilterEntry {
  std::string_view name;
  size_t most;  // arguments without a name
  Filter filter;
};

std::span<const FilterEntry> text_filters();
std::span<const FilterEntry> list_filters();
std::span<const FilterEntry> order_filters();
std::span<const FilterEntry> number_filters();

// value.a.0.b for the path "a.0.b": undefined where there is none.
Value attribute_of(const Value& value, const std::string& path);

}  // namespace qkv::jinja
