// Expressions of templates, with Jinja's precedence: from the loosest, "a if b else c", to names and literals.
#pragma once

#include "qkv/text/template/cursor.h"
#include "qkv/text/template/tree.h"

#include <initializer_list>

namespace qkv::jinja {

// Each function reads what it is named for from the cursor on. They throw Error with the line of what cannot be read.
class ExpressionParser : public Cursor {
 protected:
  using Cursor::Cursor;

  // Without conditions, an "if" is left for the caller: of a for loop.
  ExpressionPtr expression(bool conditions = true);
  // One, or a tuple without parentheses.
  ExpressionPtr tuple_or_one(bool conditions = true);
  // Filters and tests behind `e`, which may be null: what the first filter works on comes later.
  ExpressionPtr filtered(ExpressionPtr e);
  void arguments(Expression& call);

  // A node at this line.
  ExpressionPtr made(Expression::Kind kind, std::string text = {}) const;
  template <typename... Parts>
  ExpressionPtr joined(Expression::Kind kind, std::string text, Parts... parts) const {
    ExpressionPtr e = made(kind, std::move(text));
    (e->parts.push_back(std::move(parts)), ...);
    measure(*e);
    return e;
  }

 private:
  void measure(Expression& e) const;
  ExpressionPtr operators(std::initializer_list<const char*> symbols, ExpressionPtr (ExpressionParser::*inner)());
  ExpressionPtr either();
  ExpressionPtr both();
  ExpressionPtr negation();
  ExpressionPtr comparison();
  std::string comparing();
  ExpressionPtr sum() { return operators({"+", "-"}, &ExpressionParser::concatenation); }
  ExpressionPtr concatenation() { return operators({"~"}, &ExpressionParser::product); }
  ExpressionPtr product() { return operators({"*", "//", "/", "%"}, &ExpressionParser::power); }
  ExpressionPtr power() { return operators({"**"}, &ExpressionParser::with_filters); }
  ExpressionPtr with_filters() { return signed_value(true); }
  ExpressionPtr signed_value(bool filters);
  ExpressionPtr primary();
  ExpressionPtr literal(Value value);
  ExpressionPtr number();
  ExpressionPtr parenthesis();
  ExpressionPtr rest_of_tuple(ExpressionPtr first, bool conditions);
  ExpressionPtr list();
  ExpressionPtr dict();
  ExpressionPtr postfix(ExpressionPtr e);
  ExpressionPtr subscript(ExpressionPtr e);
  ExpressionPtr test(ExpressionPtr e);
};

}  // namespace qkv::jinja
