#include "qkv/text/template/value.h"

#include "qkv/core/error.h"
#include "qkv/text/template/allowance.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace qkv::jinja {
namespace {

constexpr int deepest_value = 64;

// What holds values of this depth has the next.
int deeper(int depth) {
  if (depth >= deepest_value)
    throw Error("template", fmt::format("a value nests deeper than {} levels", deepest_value));
  return depth + 1;
}

// What a string looks like in Python's repr.
std::string quoted(const std::string& text) {
  const char quote = text.find('\'') != std::string::npos && text.find('"') == std::string::npos ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    if (c == '\\' || c == quote) {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + quote;
}

// A value may hold another many times, so its text may be far longer than itself: lengths are checked on the way.
void print(const Value& value, int depth, std::string& out) {
  if (depth > deepest_value) throw Error("template", "a value nests too deep to be printed");
  Allowance::spend_steps(1);
  if (const std::string* text = value.text()) {
    out += quoted(*text);
  } else if (const List* list = value.list()) {
    if (list->row == Value::Row::generator) throw Error("template", "a generator is not printed", "add | list");
    const bool tuple = list->row == Value::Row::tuple;
    out += tuple ? '(' : '[';
    for (size_t i = 0; i < list->items.size(); ++i) {
      if (i > 0) out += ", ";
      print(list->items[i], depth + 1, out);
    }
    if (tuple && list->items.size() == 1) out += ',';
    out += tuple ? ')' : ']';
  } else if (const Dict* dict = value.dict()) {
    if (dict->kind != Dict::Kind::dict) throw Error("template", "a namespace is not printed");
    out += '{';
    for (size_t i = 0; i < dict->items.size(); ++i) {
      out += (i > 0 ? ", " : "") + quoted(dict->items[i].first) + ": ";
      print(dict->items[i].second, depth + 1, out);
    }
    out += '}';
  } else {
    out += value.undefined() ? "Undefined" : value.str();
  }
  Allowance::check_length(out.size());
}

}  // namespace

Value::Value(std::string value) {
  Allowance::check_length(value.size());
  Allowance::spend_bytes(value.size() + sizeof(Value) + sizeof(std::string));
  data_ = std::make_shared<const std::string>(std::move(value));
}

Value Value::list(std::vector<Value> items, Row row) {
  Allowance::spend_bytes(sizeof(List) + items.size() * sizeof(Value));
  Allowance::spend_steps(items.size() / 16);
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  return std::make_shared<List>(List{std::move(items), row, deeper(depth)});
}

Value Value::from_json(const OrderedJson& json) {
  switch (json.type()) {
    case OrderedJson::value_t::boolean:
      return json.get<bool>();
    case OrderedJson::value_t::number_unsigned:
      if (json.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) return json.get<double>();
      return json.get<int64_t>();
    case OrderedJson::value_t::number_integer:
      return json.get<int64_t>();
    case OrderedJson::value_t::number_float:
      return json.get<double>();
    case OrderedJson::value_t::string:
      return json.get<std::string>();
    case OrderedJson::value_t::array: {
      std::vector<Value> items;
      for (const auto& item : json) items.push_back(from_json(item));
      return list(std::move(items));
    }
    case OrderedJson::value_t::object: {
      auto dict = std::make_shared<Dict>();
      for (const auto& [key, item] : json.items()) {
        Allowance::spend_bytes(key.size() + sizeof(dict->items[0]));
        dict->items.emplace_back(key, from_json(item));
        dict->depth = std::max(dict->depth, deeper(dict->items.back().second.depth()));
      }
      return dict;
    }
    default:
      return {};
  }
}

List* Value::list() const {
  const auto* held = std::get_if<std::shared_ptr<List>>(&data_);
  return held == nullptr ? nullptr : held->get();
}

Dict* Value::dict() const {
  const auto* held = std::get_if<std::shared_ptr<Dict>>(&data_);
  return held == nullptr ? nullptr : held->get();
}

int64_t Value::as_integer() const {
  if (boolean()) return std::get<bool>(data_) ? 1 : 0;
  if (!integer()) throw Error("template", fmt::format("expected an integer, got {}", type()));
  return std::get<int64_t>(data_);
}

double Value::as_number() const {
  if (const double* number = std::get_if<double>(&data_)) return *number;
  if (!number()) throw Error("template", fmt::format("expected a number, got {}", type()));
  return static_cast<double>(as_integer());
}

bool Value::truth() const {
  if (none() || undefined()) return false;
  if (number()) return as_number() != 0;
  if (const std::string* held = text()) return !held->empty();
  if (const List* held = list()) return held->row == Row::generator || !held->items.empty();
  if (const Dict* held = dict()) return held->kind != Dict::Kind::dict || !held->items.empty();
  return true;
}

int Value::depth() const { return list() != nullptr ? list()->depth : dict() != nullptr ? dict()->depth : 0; }

std::string Value::str() const {
  if (const std::string* held = text()) return *held;
  if (undefined()) return "";
  if (none()) return "None";
  if (boolean()) return truth() ? "True" : "False";
  if (integer()) return std::to_string(as_integer());
  if (number()) return float_text(as_number());
  if (function()) return "<function>";
  return repr();
}

std::string Value::repr() const {
  std::string out;
  print(*this, 0, out);
  return out;
}

std::string Value::type() const {
  if (string()) return "str";
  if (undefined()) return "Undefined";
  if (none()) return "NoneType";
  if (boolean()) return "bool";
  if (integer()) return "int";
  if (number()) return "float";
  if (const List* held = list())
    return held->row == Row::list ? "list" : held->row == Row::tuple ? "tuple" : "generator";
  return dict() != nullptr ? "dict" : "function";
}

bool Value::operator==(const Value& other) const {
  Allowance::spend_steps(1);
  if (number() && other.number()) {
    if (is<double>() || other.is<double>()) return as_number() == other.as_number();
    return as_integer() == other.as_integer();
  }
  if (const List* a = list(), *b = other.list(); a != nullptr && b != nullptr)
    return a == b || (a->row == b->row && a->items == b->items);
  if (const Dict* a = dict(), *b = other.dict(); a != nullptr && b != nullptr) {
    if (a == b || a->kind != Dict::Kind::dict || b->kind != Dict::Kind::dict) return a == b;
    if (a->items.size() != b->items.size()) return false;
    return std::all_of(a->items.begin(), a->items.end(), [&](const auto& item) {
      const Value* same = b->find(item.first);
      return same != nullptr && item.second == *same;
    });
  }
  if (string() && other.string()) {
    if (text()->size() != other.text()->size()) return false;
    Allowance::spend_steps(text()->size() / 256);
    return *text() == *other.text();
  }
  return (none() && other.none()) || (undefined() && other.undefined());
}

int Value::compare(const Value& other) const {
  Allowance::spend_steps(1);
  if (number() && other.number()) {
    if (!is<double>() && !other.is<double>())
      return as_integer() < other.as_integer() ? -1 : as_integer() > other.as_integer() ? 1 : 0;
    return as_number() < other.as_number() ? -1 : as_number() > other.as_number() ? 1 : 0;
  }
  // UTF-8 has the order of its code points.
  if (string() && other.string()) {
    Allowance::spend_steps(std::min(text()->size(), other.text()->size()) / 256);
    return text()->compare(*other.text());
  }
  if (const List* a = list(), *b = other.list();
      a != nullptr && b != nullptr && a->row == b->row && a->row != Row::generator) {
    for (size_t i = 0; i < std::min(a->items.size(), b->items.size()); ++i)
      if (!(a->items[i] == b->items[i])) return a->items[i].compare(b->items[i]);
    return a->items.size() < b->items.size() ? -1 : a->items.size() > b->items.size() ? 1 : 0;
  }
  for (const Value* value : {this, &other})
    if (value->undefined()) throw Error("template", fmt::format("'{}' is undefined", value->undefined_name()));
  throw Error("template", fmt::format("{} and {} have no order", type(), other.type()));
}

const Value* Dict::find(std::string_view key) const {
  for (const auto& [name, value] : items)
    if (name == key) return &value;
  return nullptr;
}

void Dict::set(const std::string& key, Value value) {
  depth = std::max(depth, deeper(value.depth()));
  for (auto& [name, old] : items)
    if (name == key) {
      old = std::move(value);
      return;
    }
  Allowance::spend_bytes(key.size() + sizeof(items[0]));
  items.emplace_back(key, std::move(value));
}

Value Arguments::get(size_t index, std::string_view name, Value missing) const {
  if (index < values.size()) return values[index];
  for (const auto& [key, value] : named)
    if (key == name) return value;
  return missing;
}

const Value& Arguments::at(size_t index) const {
  if (index >= values.size()) throw Error("template", fmt::format("a call lacks its argument {}", index + 1));
  return values[index];
}

void Arguments::at_most(size_t most) const {
  if (values.size() > most)
    throw Error("template", fmt::format("a call has {} arguments where {} are known", values.size(), most));
}

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[64];
  const double size = std::abs(value);
  const bool plain = value == 0 || (size >= 1e-4 && size < 1e16);
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value,
                                 plain ? std::chars_format::fixed : std::chars_format::scientific);
  std::string out(buffer, end.ptr);
  if (plain && out.find('.') == std::string::npos) out += ".0";
  return out;
}

}  // namespace qkv::jinja
