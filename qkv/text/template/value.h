// Values of templates: Python's, as far as Jinja shows them.
#pragma once

#include "qkv/core/ordered_json.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace qkv::jinja {

class Value;
struct Arguments;
using Function = std::function<Value(const Arguments&)>;

struct Undefined {
  std::string name;  // for messages
};
struct None {};
struct List;
struct Dict;

class Value {
 public:
  Value() : data_(None()) {}
  Value(Undefined value) : data_(std::move(value)) {}
  Value(bool value) : data_(value) {}
  Value(int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(std::string value);
  Value(const char* value) : Value(std::string(value)) {}
  Value(std::shared_ptr<List> value) : data_(std::move(value)) {}
  Value(std::shared_ptr<Dict> value) : data_(std::move(value)) {}
  Value(Function value) : data_(std::make_shared<Function>(std::move(value))) {}
  enum class Row : uint8_t { list, tuple, generator };
  static Value list(std::vector<Value> items, Row row = Row::list);
  static Value from_json(const OrderedJson& json);

  template <typename T>
  bool is() const {
    return std::holds_alternative<T>(data_);
  }
  bool undefined() const { return is<Undefined>(); }
  bool none() const { return is<None>(); }
  bool string() const { return is<Text>(); }
  bool integer() const { return is<int64_t>(); }
  bool boolean() const { return is<bool>(); }
  bool number() const { return is<double>() || integer() || boolean(); }
  bool function() const { return is<std::shared_ptr<Function>>(); }
  const std::string* text() const {  // null where it is none
    const Text* held = std::get_if<Text>(&data_);
    return held == nullptr ? nullptr : held->get();
  }
  const std::string& undefined_name() const { return std::get<Undefined>(data_).name; }
  List* list() const;  // likewise
  Dict* dict() const;
  const Function& call() const { return *std::get<std::shared_ptr<Function>>(data_); }

  int64_t as_integer() const;  // of a number that is one; throws Error otherwise
  double as_number() const;    // likewise of any number
  bool truth() const;
  int depth() const;  // how deep lists and dicts nest

  std::string str() const;   // as {{ }} prints it
  std::string repr() const;  // as it stands inside a printed list
  std::string type() const;  // Python's name, for messages

  bool operator==(const Value& other) const;
  // < 0, 0, > 0. Throws Error for values that have no order.
  int compare(const Value& other) const;

 private:
  using Text = std::shared_ptr<const std::string>;
  std::variant<None, Undefined, bool, int64_t, double, Text, std::shared_ptr<List>, std::shared_ptr<Dict>,
               std::shared_ptr<Function>>
      data_;
};

// A generator, as map and select give it, is true even when it is empty, and has neither length nor places.
struct List {
  std::vector<Value> items;
  Value::Row row = Value::Row::list;
  int depth = 1;
};

// In the order in which keys were put in.
struct Dict {
  enum class Kind : uint8_t { dict, name_space, loop };  // a namespace may be assigned to; `loop` tells of a for loop
  std::vector<std::pair<std::string, Value>> items = {};
  Kind kind = Kind::dict;
  int depth = 1;

  const Value* find(std::string_view key) const;
  void set(const std::string& key, Value value);
};

struct Arguments {
  std::vector<Value> values;
  std::vector<std::pair<std::string, Value>> named;

  // The argument at `index` or of this name; `missing` where it was not given.
  Value get(size_t index, std::string_view name, Value missing = {}) const;
  const Value& at(size_t index) const;  // throws Error where it was not given
  // Throws Error for more arguments without a name than `most`.
  void at_most(size_t most) const;
};

// Python's repr of a float.
std::string float_text(double value);

}  // namespace qkv::jinja
