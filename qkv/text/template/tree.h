// A parsed template.
#pragma once

#include "qkv/text/template/value.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace qkv::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct Expression {
  enum class Kind : uint8_t {
    literal,    // value
    name,       // text
    list,       // parts
    tuple,      // parts
    dict,       // parts: key, value, key, value ...
    attribute,  // parts[0].text
    subscript,  // parts[0][parts[1]]
    slice,      // parts[0][parts[1]:parts[2]:parts[3]], any of the three may be null
    call,       // parts[0](parts[1] ..., named ...)
    filter,     // parts[0] | text(parts[1] ..., named ...)
    test,       // parts[0] is text(parts[1] ...)
    unary,      // text parts[0]
    binary,     // parts[0] text parts[1]
    compare,    // parts[0] operators[0] parts[1] operators[1] parts[2] ...
    logical_and,
    logical_or,
    condition,  // parts[1] if parts[0] else parts[2], which may be null
  };
  Kind kind;
  int line = 1;
  int depth = 1;  // of the tree below
  std::string text = {};
  Value value = {};
  std::vector<ExpressionPtr> parts = {};
  std::vector<std::pair<std::string, ExpressionPtr>> named = {};
  std::vector<std::string> operators = {};
};

struct Statement;
using Body = std::vector<std::unique_ptr<Statement>>;

struct Statement {
  enum class Kind : uint8_t {
    text,        // text
    print,       // expression
    branch,      // if: conditions and bodies, with one body more where there is an else
    loop,        // for names in expression if condition: bodies[0], else bodies[1]
    assign,      // set names = expression, or names.text (a namespace's), or the output of bodies[0]
    macro,       // text(names, defaults): bodies[0]
    call_block,  // call(names) expression: bodies[0]
    filtered,    // filter expression: bodies[0]
    scope,       // with, generation: bodies[0] with names = conditions
    go_on,       // continue
    leave,       // break
  };
  Kind kind;
  int line = 1;
  std::string text = {};
  ExpressionPtr expression = {};
  std::vector<ExpressionPtr> conditions = {};
  std::vector<std::string> names = {};
  std::vector<ExpressionPtr> defaults = {};  // of the last of the names
  std::vector<Body> bodies = {};
};

}  // namespace qkv::jinja
