// Reads a request's JSON object field by field: types and ranges are checked, and what nobody asked for is an error.
#pragma once

#include "qkv/core/ordered_json.h"
#include "qkv/serve/api_error.h"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

// The object of a request's body. Throws ApiError for invalid UTF-8, invalid JSON, nesting deeper than 64 levels, and
// what is no object.
OrderedJson parse_body(std::string_view body);

class Fields {
 public:
  // `path` stands before names in messages: "messages[0].". The object must outlive this.
  explicit Fields(const OrderedJson& object, std::string path = "");

  // The field, or null when it is absent or null.
  const OrderedJson* find(const std::string& name);
  const OrderedJson& require(const std::string& name);

  std::optional<std::string> text(const std::string& name);
  std::string required_text(const std::string& name);
  std::optional<bool> flag(const std::string& name);
  std::optional<int64_t> integer(const std::string& name, int64_t lowest, int64_t highest);
  std::optional<double> number(const std::string& name, double lowest, double highest);
  // A string or a list of at most so many strings.
  std::optional<std::vector<std::string>> texts(const std::string& name, size_t most);
  // Known fields that change nothing here.
  void ignore(std::initializer_list<const char*> names);

  // Throws ApiError for a field that has not been asked for.
  void finish() const;

  [[noreturn]] void fail(const std::string& name, const std::string& what) const;

 private:
  const OrderedJson& object_;
  std::string path_;
  std::set<std::string> known_;
};

// For messages: "an array", "null", "a string".
std::string kind_of(const OrderedJson& value);

}  // namespace qkv
