// A place in a JSON file that is read with checks: errors name the file and the path to the place.
#pragma once

#include "qkv/core/json.h"

#include <string>
#include <string_view>

namespace qkv {

class JsonCursor {
 public:
  JsonCursor(const Json& value, std::string where) : value_(&value), where_(std::move(where)) {}

  const Json& json() const { return *value_; }
  const std::string& where() const { return where_; }  // "tokenizer.json: model.vocab"
  bool is_null() const { return value_->is_null(); }

  // Member `key`; a cursor on null when it is absent. Throws Error when this is not an object.
  JsonCursor operator[](std::string_view key) const;
  // Element i of an array that has it.
  JsonCursor at(size_t i) const;
  size_t array_size() const;  // throws Error when this is not an array

  // The value, or Error naming the place and the type expected.
  std::string_view string() const;
  int64_t integer() const;
  bool boolean() const;
  // The same with a value for the absent and the null.
  std::string string_or(std::string_view otherwise) const;
  int64_t integer_or(int64_t otherwise) const { return is_null() ? otherwise : integer(); }
  bool boolean_or(bool otherwise) const { return is_null() ? otherwise : boolean(); }

  [[noreturn]] void fail(std::string_view what, std::string_view hint = "") const;

 private:
  [[noreturn]] void expected(std::string_view type) const;

  const Json* value_;
  std::string where_;
};

}  // namespace qkv
