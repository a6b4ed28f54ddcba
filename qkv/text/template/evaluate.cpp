// What expressions are worth.
#include "qkv/core/error.h"
#include "qkv/text/template/builtins.h"
#include "qkv/text/template/operators.h"
#include "qkv/text/template/renderer.h"

#include <algorithm>

namespace qkv::jinja {

using EK = Expression::Kind;

Value Renderer::evaluate(const Expression& e, Scope& scope) {
  const Deeper deeper(*this);
  Allowance::spend_steps(1);
  Value value = [&] {
    try {
      return value_of(e, scope);
    } catch (const Error& error) {
      // The innermost expression's line.
      if (error.reason().starts_with("line ") || !error.hint().empty()) throw;
      throw Error("template", fmt::format("line {}: {}", e.line, error.reason()));
    }
  }();
  // Whatever is done with large values takes its time.
  if (const std::string* text = value.text()) Allowance::spend_steps(text->size() / 256);
  if (const List* list = value.list()) Allowance::spend_steps(list->items.size() / 16);
  if (const Dict* dict = value.dict()) Allowance::spend_steps(dict->items.size() / 16);
  return value;
}

Value Renderer::value_of(const Expression& e, Scope& scope) {
  const auto part = [&](size_t i) { return evaluate(*e.parts[i], scope); };
  switch (e.kind) {
    case EK::literal:
      return e.value;
    case EK::name: {
      const Value* value = scope.find(e.text);
      return value != nullptr ? *value : Value(Undefined{e.text});
    }
    case EK::list:
    case EK::tuple: {
      std::vector<Value> items;
      for (size_t i = 0; i < e.parts.size(); ++i) items.push_back(part(i));
      return Value::list(std::move(items), e.kind == EK::tuple ? Value::Row::tuple : Value::Row::list);
    }
    case EK::dict: {
      auto dict = std::make_shared<Dict>();
      for (size_t i = 0; i < e.parts.size(); i += 2) {
        const Value key = part(i);
        if (!key.string()) throw Error("template", fmt::format("keys of dicts are strings here, not {}", key.type()));
        dict->set(*key.text(), part(i + 1));
      }
      return dict;
    }
    case EK::attribute: {
      const Value value = part(0);
      if (value.undefined()) throw Error("template", fmt::format("'{}' is undefined", value.undefined_name()));
      const Value method = method_of(value, e.text);
      return method.undefined() ? item_of(value, e.text) : method;
    }
    case EK::subscript: {
      const Value value = part(0);
      const Value key = part(1);
      Value item = item_of(value, key);
      return item.undefined() && key.string() ? method_of(value, *key.text()) : item;
    }
    case EK::slice:
      return slice(e, scope);
    case EK::call:
      return call(e, scope);
    case EK::filter:
      return filter(e, scope);
    case EK::test: {
      const Value value = part(0);
      return test_named(e.text)(value, arguments(e, 1, scope));
    }
    case EK::unary:
      return unary(e.text, part(0));
    case EK::binary: {
      const Value left = part(0);
      return binary(e.text, left, part(1));
    }
    case EK::compare:
      return compare(e, scope);
    case EK::logical_and: {
      const Value left = part(0);
      return left.truth() ? part(1) : left;
    }
    case EK::logical_or: {
      const Value left = part(0);
      return left.truth() ? left : part(1);
    }
    case EK::condition:
      if (part(0).truth()) return part(1);
      return e.parts[2] ? part(2) : Value(Undefined{"a condition without else"});
  }
  return {};
}

Value Renderer::slice(const Expression& e, Scope& scope) {
  const Value value = evaluate(*e.parts[0], scope);
  if (value.undefined()) throw Error("template", fmt::format("'{}' is undefined", value.undefined_name()));
  if (!value.string() && (value.list() == nullptr || value.list()->row == Value::Row::generator))
    throw Error("template", fmt::format("a value of type {} has no slices", value.type()));
  const std::vector<Value> items = items_of(value);
  const int64_t size = std::ssize(items);
  const auto bound = [&](size_t i) { return e.parts[i] ? evaluate(*e.parts[i], scope) : Value(); };
  const Value begin_value = bound(1), end_value = bound(2), step_value = bound(3);
  const int64_t step = step_value.none() ? 1 : step_value.as_integer();
  if (step == 0) throw Error("template", "a slice has a step of zero");
  const auto place = [&](const Value& given, int64_t otherwise) {
    if (given.none()) return otherwise;
    int64_t at = given.as_integer();
    if (at < 0) at = at < -size ? -1 : at + size;
    return step > 0 ? std::clamp<int64_t>(at, 0, size) : std::clamp<int64_t>(at, -1, size - 1);
  };
  const int64_t begin = place(begin_value, step > 0 ? 0 : size - 1);
  const int64_t end = place(end_value, step > 0 ? size : -1);
  std::vector<Value> out;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    out.push_back(items[static_cast<size_t>(i)]);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  if (!value.string()) return Value::list(std::move(out), value.list()->row);
  std::string text;
  for (const Value& item : out) text += *item.text();
  return text;
}

Arguments Renderer::arguments(const Expression& e, size_t first, Scope& scope) {
  Arguments result;
  for (size_t i = first; i < e.parts.size(); ++i) result.values.push_back(evaluate(*e.parts[i], scope));
  for (const auto& [name, value] : e.named) result.named.emplace_back(name, evaluate(*value, scope));
  return result;
}

Value Renderer::call(const Expression& e, Scope& scope, const Value* caller) {
  const Value function = evaluate(*e.parts[0], scope);
  if (function.undefined()) throw Error("template", fmt::format("'{}' is undefined", function.undefined_name()));
  if (!function.function()) throw Error("template", fmt::format("a value of type {} is not called", function.type()));
  Arguments given = arguments(e, 1, scope);
  if (caller != nullptr) given.named.emplace_back("caller", *caller);
  return function.call()(given);
}

Value Renderer::filter(const Expression& e, Scope& scope, const Value* piped) {
  // What a filter block or set block wrote goes into its first filter.
  const Value value = !e.parts[0]                                          ? *piped
                      : piped != nullptr && e.parts[0]->kind == EK::filter ? filter(*e.parts[0], scope, piped)
                                                                           : evaluate(*e.parts[0], scope);
  return filter_named(e.text)(value, arguments(e, 1, scope));
}

Value Renderer::compare(const Expression& e, Scope& scope) {
  Value left = evaluate(*e.parts[0], scope);
  for (size_t i = 0; i < e.operators.size(); ++i) {
    const std::string& o = e.operators[i];
    Value right = evaluate(*e.parts[i + 1], scope);
    const bool holds = o == "=="       ? left == right
                       : o == "!="     ? !(left == right)
                       : o == "in"     ? contains(right, left)
                       : o == "not in" ? !contains(right, left)
                       : o == "<"      ? left.compare(right) < 0
                       : o == "<="     ? left.compare(right) <= 0
                       : o == ">"      ? left.compare(right) > 0
                                       : left.compare(right) >= 0;
    if (!holds) return false;
    left = std::move(right);
  }
  return true;
}

}  // namespace qkv::jinja
