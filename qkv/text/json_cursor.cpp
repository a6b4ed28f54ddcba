#include "qkv/text/json_cursor.h"

#include "qkv/core/error.h"

namespace qkv {
namespace {

const Json null_value = nullptr;

}  // namespace

JsonCursor JsonCursor::operator[](std::string_view key) const {
  if (!value_->is_object()) expected("an object");
  const auto found = value_->find(key);
  const bool at_top = where_.find(": ") == std::string::npos;
  return {found == value_->end() ? null_value : *found, fmt::format("{}{}{}", where_, at_top ? ": " : ".", key)};
}

JsonCursor JsonCursor::at(size_t i) const { return {(*value_)[i], fmt::format("{}[{}]", where_, i)}; }

size_t JsonCursor::array_size() const {
  if (!value_->is_array()) expected("an array");
  return value_->size();
}

std::string_view JsonCursor::string() const {
  if (!value_->is_string()) expected("a string");
  return value_->get_ref<const std::string&>();
}

int64_t JsonCursor::integer() const {
  if (!value_->is_number_integer()) expected("an integer");
  if (value_->is_number_unsigned() && value_->get<uint64_t>() > uint64_t{INT64_MAX}) fail("is too large");
  return value_->get<int64_t>();
}

bool JsonCursor::boolean() const {
  if (!value_->is_boolean()) expected("true or false");
  return value_->get<bool>();
}

std::string JsonCursor::string_or(std::string_view otherwise) const {
  return std::string(is_null() ? otherwise : string());
}

void JsonCursor::fail(std::string_view what, std::string_view hint) const { throw Error(where_, what, hint); }

void JsonCursor::expected(std::string_view type) const {
  if (is_null()) fail(fmt::format("is missing: expected {}", type));
  std::string found = value_->dump();
  if (found.size() > 60) found = found.substr(0, 60) + "...";
  fail(fmt::format("expected {}, got {}", type, found));
}

}  // namespace qkv
