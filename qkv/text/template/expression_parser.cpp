#include "qkv/text/template/expression_parser.h"

#include "qkv/core/error.h"

#include <algorithm>
#include <charconv>

namespace qkv::jinja {
namespace {

using EK = Expression::Kind;
using TK = Token::Kind;

constexpr int deepest_tree = 400;  // rows of operators lean to the left, so they are as deep as they are long

}  // namespace

ExpressionPtr ExpressionParser::made(EK kind, std::string text) const {
  auto e = std::make_unique<Expression>();
  e->kind = kind;
  e->line = now().line;
  e->text = std::move(text);
  return e;
}

// Called when a node has its parts.
void ExpressionParser::measure(Expression& e) const {
  const auto below = [&](const ExpressionPtr& part) {
    if (part) e.depth = std::max(e.depth, part->depth + 1);
  };
  std::for_each(e.parts.begin(), e.parts.end(), below);
  for (const auto& [name, part] : e.named) below(part);
  if (e.depth > deepest_tree) fail(fmt::format("an expression nests deeper than {} levels", deepest_tree));
}

ExpressionPtr ExpressionParser::expression(bool conditions) {
  const Deeper deeper(*this);
  ExpressionPtr e = either();
  while (conditions && take_word("if")) {
    ExpressionPtr condition = either();
    ExpressionPtr otherwise = take_word("else") ? expression() : nullptr;
    e = joined(EK::condition, "", std::move(condition), std::move(e), std::move(otherwise));
  }
  return e;
}

ExpressionPtr ExpressionParser::tuple_or_one(bool conditions) {
  ExpressionPtr e = expression(conditions);
  return symbol(",") ? rest_of_tuple(std::move(e), conditions) : std::move(e);
}

ExpressionPtr ExpressionParser::rest_of_tuple(ExpressionPtr first, bool conditions) {
  ExpressionPtr all = joined(EK::tuple, "", std::move(first));
  while (take_symbol(",") && !symbol(")") && now().kind != TK::print_end && now().kind != TK::block_end)
    all->parts.push_back(expression(conditions));
  measure(*all);
  return all;
}

ExpressionPtr ExpressionParser::either() {
  ExpressionPtr e = both();
  while (take_word("or")) e = joined(EK::logical_or, "", std::move(e), both());
  return e;
}

ExpressionPtr ExpressionParser::both() {
  ExpressionPtr e = negation();
  while (take_word("and")) e = joined(EK::logical_and, "", std::move(e), negation());
  return e;
}

ExpressionPtr ExpressionParser::negation() {
  const Deeper deeper(*this);
  if (take_word("not")) return joined(EK::unary, "not", negation());
  return comparison();
}

// A comparison's operator, or "".
std::string ExpressionParser::comparing() {
  for (const char* one : {"==", "!=", "<=", ">=", "<", ">"})
    if (take_symbol(one)) return one;
  if (take_word("in")) return "in";
  if (!word("not") || next().kind != TK::name || next().value != "in") return "";
  move();
  move();
  return "not in";
}

ExpressionPtr ExpressionParser::comparison() {
  ExpressionPtr e = sum();
  std::string operation = comparing();
  if (operation.empty()) return e;
  ExpressionPtr all = joined(EK::compare, "", std::move(e));
  for (; !operation.empty(); operation = comparing()) {
    all->operators.push_back(operation);
    all->parts.push_back(sum());
  }
  measure(*all);
  return all;
}

// A row of operators of one precedence.
ExpressionPtr ExpressionParser::operators(std::initializer_list<const char*> symbols,
                                          ExpressionPtr (ExpressionParser::*inner)()) {
  ExpressionPtr e = (this->*inner)();
  while (true) {
    const auto found = std::find_if(symbols.begin(), symbols.end(), [&](const char* one) { return take_symbol(one); });
    if (found == symbols.end()) return e;
    e = joined(EK::binary, *found, std::move(e), (this->*inner)());
  }
}

ExpressionPtr ExpressionParser::signed_value(bool filters) {
  const Deeper deeper(*this);
  ExpressionPtr e;
  if (symbol("-") || symbol("+")) {
    const std::string sign = now().value;
    move();
    e = joined(EK::unary, sign, signed_value(false));
  } else {
    e = primary();
  }
  e = postfix(std::move(e));
  return filters ? filtered(std::move(e)) : std::move(e);
}

ExpressionPtr ExpressionParser::literal(Value value) {
  ExpressionPtr e = made(EK::literal);
  e->value = std::move(value);
  move();
  return e;
}

ExpressionPtr ExpressionParser::number() {
  const std::string& text = now().value;
  if (now().kind == TK::integer) {
    int64_t value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc()) fail("a number is too large");
    return literal(value);
  }
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return literal(value);
}

ExpressionPtr ExpressionParser::primary() {
  switch (now().kind) {
    case TK::name:
      if (word("true") || word("True")) return literal(true);
      if (word("false") || word("False")) return literal(false);
      if (word("none") || word("None")) return literal({});
      return made(EK::name, name());
    case TK::string: {
      // Strings side by side are one.
      ExpressionPtr e = made(EK::literal);
      std::string text;
      for (; now().kind == TK::string; move()) text += now().value;
      e->value = text;
      return e;
    }
    case TK::integer:
    case TK::number:
      return number();
    case TK::symbol:
      if (take_symbol("(")) return parenthesis();
      if (take_symbol("[")) return list();
      if (take_symbol("{")) return dict();
      fail(fmt::format("unexpected '{}'", now().value));
    default:
      fail("the tag ends too early");
  }
}

ExpressionPtr ExpressionParser::parenthesis() {
  if (take_symbol(")")) return made(EK::tuple);
  ExpressionPtr e = tuple_or_one();
  expect_symbol(")");
  return e;
}

ExpressionPtr ExpressionParser::list() {
  ExpressionPtr e = made(EK::list);
  while (!symbol("]")) {
    e->parts.push_back(expression());
    if (!take_symbol(",")) break;
  }
  expect_symbol("]");
  measure(*e);
  return e;
}

ExpressionPtr ExpressionParser::dict() {
  ExpressionPtr e = made(EK::dict);
  while (!symbol("}")) {
    e->parts.push_back(expression());
    expect_symbol(":");
    e->parts.push_back(expression());
    if (!take_symbol(",")) break;
  }
  expect_symbol("}");
  measure(*e);
  return e;
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr e) {
  while (true) {
    if (take_symbol(".")) {
      e = now().kind == TK::integer ? joined(EK::subscript, "", std::move(e), number())
                                    : joined(EK::attribute, name(), std::move(e));
    } else if (take_symbol("[")) {
      e = subscript(std::move(e));
    } else if (symbol("(")) {
      e = joined(EK::call, "", std::move(e));
      arguments(*e);
    } else {
      return e;
    }
  }
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr e) {
  ExpressionPtr parts[3];
  int colons = 0;
  while (!symbol("]")) {
    if (take_symbol(":")) {
      if (++colons > 2) fail("a slice has three parts at most");
    } else {
      if (parts[colons]) unexpected("']'");
      parts[colons] = expression();
    }
  }
  expect_symbol("]");
  if (colons > 0)
    return joined(EK::slice, "", std::move(e), std::move(parts[0]), std::move(parts[1]), std::move(parts[2]));
  if (!parts[0]) fail("an empty subscript");
  return joined(EK::subscript, "", std::move(e), std::move(parts[0]));
}

void ExpressionParser::arguments(Expression& call) {
  expect_symbol("(");
  while (!symbol(")")) {
    if (now().kind == TK::name && next().kind == TK::symbol && next().value == "=") {
      std::string key = name();
      expect_symbol("=");
      call.named.emplace_back(std::move(key), expression());
    } else {
      if (!call.named.empty()) fail("an argument without a name behind one with");
      if (symbol("*") || symbol("**")) fail("arguments in lists are not known");
      call.parts.push_back(expression());
    }
    if (!take_symbol(",")) break;
  }
  expect_symbol(")");
  measure(call);
}

ExpressionPtr ExpressionParser::filtered(ExpressionPtr e) {
  while (true) {
    if (take_symbol("|")) {
      e = joined(EK::filter, name(), std::move(e));
      if (symbol("(")) arguments(*e);
    } else if (take_word("is")) {
      e = test(std::move(e));
    } else if (symbol("(")) {
      e = joined(EK::call, "", std::move(e));
      arguments(*e);
    } else {
      return e;
    }
  }
}

ExpressionPtr ExpressionParser::test(ExpressionPtr e) {
  const bool negated = take_word("not");
  ExpressionPtr t = joined(EK::test, name(), std::move(e));
  const auto operand = [&] {
    switch (now().kind) {
      case TK::string:
      case TK::integer:
      case TK::number:
        return true;
      case TK::symbol:
        return now().value == "[" || now().value == "{";
      case TK::name:
        for (const char* other : {"else", "or", "and", "is", "if", "not", "in"})
          if (word(other)) return false;
        return true;
      default:
        return false;
    }
  };
  if (symbol("(")) {
    arguments(*t);
  } else if (operand()) {
    t->parts.push_back(postfix(primary()));
    measure(*t);
  }
  return negated ? joined(EK::unary, "not", std::move(t)) : std::move(t);
}

}  // namespace qkv::jinja
