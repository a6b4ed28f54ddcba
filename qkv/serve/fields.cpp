#include "qkv/serve/fields.h"

#include "qkv/core/error.h"
#include "qkv/text/unicode.h"

#include <cmath>

namespace qkv {

OrderedJson parse_body(std::string_view body) {
  static constexpr int deepest = 64;
  if (const size_t at = invalid_utf8(body); at != std::string_view::npos)
    throw ApiError(400, fmt::format("The body is not valid UTF-8 at byte {}.", at));
  const auto limit_depth = [](int depth, OrderedJson::parse_event_t, OrderedJson&) {
    if (depth > deepest) throw ApiError(400, fmt::format("The body nests deeper than {} levels.", deepest));
    return true;
  };
  try {
    OrderedJson value = OrderedJson::parse(body, limit_depth);
    if (!value.is_object()) throw ApiError(400, fmt::format("The body must be a JSON object, not {}.", kind_of(value)));
    return value;
  } catch (const OrderedJson::exception& error) {
    std::string_view reason = error.what();
    if (const size_t end = reason.find("] "); end != std::string_view::npos) reason.remove_prefix(end + 2);
    throw ApiError(400, fmt::format("The body is not valid JSON: {}.", reason));
  }
}

std::string kind_of(const OrderedJson& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return "a boolean";
  if (value.is_number_integer()) return "an integer";
  if (value.is_number()) return "a number";
  if (value.is_string()) return "a string";
  return value.is_array() ? "an array" : "an object";
}

Fields::Fields(const OrderedJson& object, std::string path) : object_(object), path_(std::move(path)) {
  if (!object.is_object())
    throw ApiError(400, fmt::format("'{}' must be an object, not {}.", path_, kind_of(object)), path_);
}

void Fields::fail(const std::string& name, const std::string& what) const {
  throw ApiError(400, fmt::format("'{}{}' {}.", path_, name, what), path_ + name);
}

const OrderedJson* Fields::find(const std::string& name) {
  known_.insert(name);
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

const OrderedJson& Fields::require(const std::string& name) {
  const OrderedJson* value = find(name);
  if (value == nullptr)
    throw ApiError(400, fmt::format("You must provide '{}{}'.", path_, name), path_ + name,
                   "missing_required_parameter");
  return *value;
}

std::optional<std::string> Fields::text(const std::string& name) {
  const OrderedJson* value = find(name);
  if (value == nullptr) return {};
  if (!value->is_string()) fail(name, "must be a string, not " + kind_of(*value));
  return value->get<std::string>();
}

std::string Fields::required_text(const std::string& name) {
  require(name);
  return *text(name);
}

std::optional<bool> Fields::flag(const std::string& name) {
  const OrderedJson* value = find(name);
  if (value == nullptr) return {};
  if (!value->is_boolean()) fail(name, "must be true or false, not " + kind_of(*value));
  return value->get<bool>();
}

std::optional<int64_t> Fields::integer(const std::string& name, int64_t lowest, int64_t highest) {
  const OrderedJson* value = find(name);
  if (value == nullptr) return {};
  // 5.0 is the integer 5 to many clients.
  const bool whole = value->is_number_float() && std::trunc(value->get<double>()) == value->get<double>() &&
                     std::abs(value->get<double>()) < 1e15;
  if (!value->is_number_integer() && !whole) fail(name, "must be an integer, not " + kind_of(*value));
  const bool beyond = value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
  const int64_t number = whole ? static_cast<int64_t>(value->get<double>()) : value->get<int64_t>();
  if (beyond || number < lowest || number > highest)
    fail(name, fmt::format("must be between {} and {}", lowest, highest));
  return number;
}

std::optional<double> Fields::number(const std::string& name, double lowest, double highest) {
  const OrderedJson* value = find(name);
  if (value == nullptr) return {};
  if (!value->is_number()) fail(name, "must be a number, not " + kind_of(*value));
  const double number = value->get<double>();
  if (!(number >= lowest && number <= highest)) fail(name, fmt::format("must be between {} and {}", lowest, highest));
  return number;
}

std::optional<std::vector<std::string>> Fields::texts(const std::string& name, size_t most) {
  const OrderedJson* value = find(name);
  if (value == nullptr) return {};
  if (value->is_string()) return std::vector<std::string>{value->get<std::string>()};
  if (!value->is_array()) fail(name, "must be a string or an array of strings, not " + kind_of(*value));
  if (value->size() > most) fail(name, fmt::format("has {} entries, and {} are the most", value->size(), most));
  std::vector<std::string> texts;
  for (const OrderedJson& one : *value) {
    if (!one.is_string()) fail(name, "must be a string or an array of strings");
    texts.push_back(one.get<std::string>());
  }
  return texts;
}

void Fields::ignore(std::initializer_list<const char*> names) { known_.insert(names.begin(), names.end()); }

void Fields::finish() const {
  for (const auto& [name, value] : object_.items())
    if (!known_.contains(name))
      throw ApiError(400, fmt::format("Unrecognized request argument supplied: {}{}", path_, name), path_ + name,
                     "unknown_parameter");
}

}  // namespace qkv
