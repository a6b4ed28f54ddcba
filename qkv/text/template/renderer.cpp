#include "qkv/text/template/renderer.h"

#include "qkv/core/error.h"
#include "qkv/text/template/builtins.h"
#include "qkv/text/template/operators.h"

#include <algorithm>

namespace qkv::jinja {
namespace {

using SK = Statement::Kind;

constexpr int deepest_calls = 1000;  // of expressions, blocks and macros that call each other

}  // namespace

Renderer::Deeper::Deeper(Renderer& renderer) : renderer_(renderer) {
  if (renderer.depth_ >= deepest_calls) throw Error("template", "its macros or expressions nest too deep");
  ++renderer.depth_;
}

const Value* Renderer::Scope::find(const std::string& name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->around) {
    Allowance::spend_steps(scope->values.size() / 32);
    for (const auto& [key, value] : scope->values)
      if (key == name) return &value;
  }
  return nullptr;
}

void Renderer::Scope::set(const std::string& name, Value value) {
  for (auto& [key, old] : values)
    if (key == name) {
      old = std::move(value);
      return;
    }
  values.emplace_back(name, std::move(value));
}

// Namespaces may hold each other.
Renderer::~Renderer() {
  for (const auto& one : name_spaces_) one->items.clear();
}

std::string Renderer::run(const Body& body, const OrderedJson& variables) {
  add_globals();
  for (const auto& [name, value] : variables.items()) root_.set(name, Value::from_json(value));
  std::string out;
  run(body, root_, out);
  return out;
}

Renderer::Flow Renderer::run(const Body& body, Scope& scope, std::string& out) {
  const Deeper deeper(*this);
  for (const auto& statement : body) {
    const Flow flow = run(*statement, scope, out);
    if (flow != Flow::on) return flow;
  }
  return Flow::on;
}

Renderer::Flow Renderer::run(const Statement& s, Scope& scope, std::string& out) {
  Allowance::spend_steps(1);
  switch (s.kind) {
    case SK::text:
      out += s.text;
      break;
    case SK::print:
      out += evaluate(*s.expression, scope).str();
      break;
    case SK::branch:
      for (size_t i = 0; i < s.bodies.size(); ++i)
        if (i >= s.conditions.size() || evaluate(*s.conditions[i], scope).truth()) return run(s.bodies[i], scope, out);
      break;
    case SK::loop:
      return loop(s, scope, out);
    case SK::assign:
      assign(s, scope);
      break;
    case SK::macro:
      scope.set(s.text, macro(s, root_));
      break;
    case SK::call_block:
      call_block(s, scope, out);
      break;
    case SK::filtered: {
      const Value inside = captured(s.bodies[0], scope);
      out += filter(*s.expression, scope, &inside).str();
      break;
    }
    case SK::scope: {
      Scope inner{&scope};
      for (size_t i = 0; i < s.names.size(); ++i) inner.set(s.names[i], evaluate(*s.conditions[i], scope));
      return run(s.bodies[0], inner, out);
    }
    case SK::go_on:
      return Flow::next;
    case SK::leave:
      return Flow::out;
  }
  Allowance::check_length(out.size());
  return Flow::on;
}

Renderer::Flow Renderer::loop(const Statement& s, Scope& scope, std::string& out) {
  std::vector<Value> items = items_of(evaluate(*s.expression, scope));
  if (!s.conditions.empty()) {
    std::vector<Value> kept;
    for (Value& item : items) {
      Scope inner{&scope};
      bind(s.names, item, inner);
      if (evaluate(*s.conditions[0], inner).truth()) kept.push_back(std::move(item));
    }
    items = std::move(kept);
  }
  if (items.empty() && s.bodies.size() > 1) return run(s.bodies[1], scope, out);
  const int64_t count = std::ssize(items);
  const auto changed = std::make_shared<std::optional<Value>>();
  for (int64_t i = 0; i < count; ++i) {
    Scope inner{&scope};
    auto state = std::make_shared<Dict>();
    state->kind = Dict::Kind::loop;
    const auto neighbour = [&](int64_t at) {
      return at >= 0 && at < count ? items[static_cast<size_t>(at)] : Value(Undefined{"a neighbour in the loop"});
    };
    state->items = {{"index", i + 1},
                    {"index0", i},
                    {"revindex", count - i},
                    {"revindex0", count - i - 1},
                    {"first", i == 0},
                    {"last", i + 1 == count},
                    {"length", count},
                    {"previtem", neighbour(i - 1)},
                    {"nextitem", neighbour(i + 1)},
                    {"cycle", Function([i](const Arguments& a) {
                       if (a.values.empty()) throw Error("template", "loop.cycle has nothing to choose from");
                       return a.values[static_cast<size_t>(i) % a.values.size()];
                     })},
                    {"changed", Function([changed](const Arguments& a) -> Value {
                       const Value now = Value::list(a.values);
                       const bool other = !*changed || !(**changed == now);
                       *changed = now;
                       return other;
                     })}};
    inner.set("loop", Value(state));
    bind(s.names, items[static_cast<size_t>(i)], inner);
    if (run(s.bodies[0], inner, out) == Flow::out) break;
  }
  return Flow::on;
}

void Renderer::bind(const std::vector<std::string>& names, Value value, Scope& scope) {
  if (names.size() == 1) return scope.set(names[0], std::move(value));
  const std::vector<Value> parts = items_of(value);
  if (parts.size() != names.size())
    throw Error("template", fmt::format("{} names for {} values", names.size(), parts.size()));
  for (size_t i = 0; i < names.size(); ++i) scope.set(names[i], parts[i]);
}

std::string Renderer::captured(const Body& body, Scope& scope) {
  std::string out;
  Scope inner{&scope};
  run(body, inner, out);
  return out;
}

void Renderer::assign(const Statement& s, Scope& scope) {
  Value value;
  if (s.bodies.empty()) {
    value = evaluate(*s.expression, scope);
  } else {
    value = captured(s.bodies[0], scope);
    if (s.expression) value = filter(*s.expression, scope, &value);
  }
  if (s.text.empty()) return bind(s.names, std::move(value), scope);
  const Value* target = scope.find(s.names[0]);
  if (target == nullptr || target->dict() == nullptr || target->dict()->kind != Dict::Kind::name_space)
    throw Error("template",
                fmt::format("line {}: '{}' is no namespace, and only those are assigned to", s.line, s.names[0]));
  if (s.text.starts_with('_'))
    throw Error("template", fmt::format("line {}: names in namespaces do not begin with _", s.line));
  target->dict()->set(s.text, std::move(value));
}

// A macro is called with its own variables, and sees those around it.
Value Renderer::macro(const Statement& s, Scope& around) {
  return Function([this, &s, &around](const Arguments& a) { return called(s, around, a); });
}

Value Renderer::called(const Statement& s, Scope& around, const Arguments& a) {
  const Deeper deeper(*this);
  Scope inner{&around};
  if (a.values.size() > s.names.size())
    throw Error("template", fmt::format("macro '{}' takes {} arguments, and {} were given", s.text, s.names.size(),
                                        a.values.size()));
  for (const auto& [name, value] : a.named) {
    if (name != "caller" && std::find(s.names.begin(), s.names.end(), name) == s.names.end())
      throw Error("template", fmt::format("macro '{}' has no parameter '{}'", s.text, name));
    if (name == "caller") inner.set(name, value);
  }
  const size_t required = s.names.size() - s.defaults.size();
  for (size_t i = 0; i < s.names.size(); ++i) {
    Value value = a.get(i, s.names[i], Undefined{s.names[i]});
    if (value.undefined() && i >= required) value = evaluate(*s.defaults[i - required], inner);
    inner.set(s.names[i], std::move(value));
  }
  std::string out;
  run(s.bodies[0], inner, out);
  return out;
}

// The block is a macro named "caller" that sees the variables around it. It may be kept somewhere, but they end with
// the block.
void Renderer::call_block(const Statement& s, Scope& scope, std::string& out) {
  const auto alive = std::make_shared<bool>(true);
  const Value caller = Function([this, &s, &scope, alive](const Arguments& a) {
    if (!*alive) throw Error("template", "a caller is called behind the end of its call");
    return called(s, scope, a);
  });
  struct End {
    bool& alive;
    ~End() { alive = false; }
  } end{*alive};
  out += call(*s.expression, scope, &caller).str();
}

}  // namespace qkv::jinja
