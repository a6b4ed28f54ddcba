// What lists and dicts hold and can do.
#include "qkv/core/error.h"
#include "qkv/text/template/builtins.h"
#include "qkv/text/template/search.h"
#include "qkv/text/template/string_methods.h"
#include "qkv/text/unicode.h"

#include <algorithm>

namespace qkv::jinja {
namespace {

Value dict_method(const Value& value, const std::string& name) {
  if (name == "items" || name == "keys" || name == "values")
    return Function([value, name](const Arguments&) {
      std::vector<Value> out;
      for (const auto& [key, item] : value.dict()->items)
        out.push_back(name == "items"  ? Value::list({key, item}, Value::Row::tuple)
                      : name == "keys" ? Value(key)
                                       : item);
      return Value::list(std::move(out));
    });
  if (name == "get")
    return Function([value](const Arguments& a) {
      const Value* found = a.at(0).string() ? value.dict()->find(*a.at(0).text()) : nullptr;
      return found != nullptr ? *found : a.get(1, "default");
    });
  return Undefined{name};
}

Value list_method(const Value& value, const std::string& name) {
  if (name == "index")
    return Function([value](const Arguments& a) {
      const auto& items = value.list()->items;
      const auto found = std::find(items.begin(), items.end(), a.at(0));
      if (found == items.end()) throw Error("template", "index found nothing");
      return Value(static_cast<int64_t>(found - items.begin()));
    });
  if (name == "count")
    return Function([value](const Arguments& a) {
      const auto& items = value.list()->items;
      return Value(static_cast<int64_t>(std::count(items.begin(), items.end(), a.at(0))));
    });
  if (name == "append" || name == "extend" || name == "insert" || name == "pop" || name == "clear")
    throw Error("template", fmt::format("lists are not changed in templates: '{}' is refused", name),
                "write list = list + [item]");
  return Undefined{name};
}

}  // namespace

Value method_of(const Value& value, const std::string& name) {
  if (value.string()) return string_method(value, name);
  if (value.dict() != nullptr && value.dict()->kind == Dict::Kind::dict) return dict_method(value, name);
  if (value.list() != nullptr) return list_method(value, name);
  return Undefined{name};
}

std::vector<Value> items_of(const Value& value) {
  if (const List* list = value.list()) return list->items;
  std::vector<Value> out;
  if (const Dict* dict = value.dict(); dict != nullptr && dict->kind == Dict::Kind::dict) {
    for (const auto& [key, item] : dict->items) out.emplace_back(key);
  } else if (const std::string* text = value.text()) {
    for (size_t i = 0; i < text->size();) {
      const size_t width = static_cast<size_t>(utf8_length((*text)[i]));
      out.emplace_back(text->substr(i, width));
      i += width;
    }
  } else if (!value.undefined()) {
    throw Error("template", fmt::format("a value of type {} cannot be gone through", value.type()));
  }
  return out;
}

Value item_of(const Value& value, const Value& key) {
  if (value.undefined()) throw Error("template", fmt::format("'{}' is undefined", value.undefined_name()));
  if (const Dict* dict = value.dict(); dict != nullptr && key.string()) {
    const Value* found = dict->find(*key.text());
    return found != nullptr ? *found : Value(Undefined{*key.text()});
  }
  if (key.integer() || key.boolean()) {
    int64_t index = key.as_integer();
    if (const List* list = value.list(); list != nullptr && list->row != Value::Row::generator) {
      if (index < 0) index += std::ssize(list->items);
      if (index >= 0 && index < std::ssize(list->items)) return list->items[static_cast<size_t>(index)];
    } else if (value.string()) {
      const std::vector<Value> characters = items_of(value);
      if (index < 0) index += std::ssize(characters);
      if (index >= 0 && index < std::ssize(characters)) return characters[static_cast<size_t>(index)];
    }
  }
  return Undefined{key.str()};
}

bool contains(const Value& container, const Value& value) {
  if (const std::string* text = container.text()) {
    if (!value.string()) throw Error("template", fmt::format("'in' a string expected a string, got {}", value.type()));
    return find_text(*text, *value.text()) != std::string::npos;
  }
  if (const Dict* dict = container.dict()) return value.string() && dict->find(*value.text()) != nullptr;
  if (const List* list = container.list())
    return std::find(list->items.begin(), list->items.end(), value) != list->items.end();
  if (container.undefined()) return false;
  throw Error("template", fmt::format("a value of type {} contains nothing", container.type()));
}

}  // namespace qkv::jinja
