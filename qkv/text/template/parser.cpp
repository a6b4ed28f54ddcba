#include "qkv/text/template/parser.h"

#include "qkv/core/error.h"
#include "qkv/text/template/expression_parser.h"

#include <algorithm>

namespace qkv::jinja {
namespace {

using EK = Expression::Kind;
using SK = Statement::Kind;
using TK = Token::Kind;

constexpr size_t longest = size_t{1} << 20;

class Parser : private ExpressionParser {
 public:
  explicit Parser(std::string_view source) : ExpressionParser(source) {}

  Body run() {
    Body body = statements({});
    if (now().kind != TK::end) fail("'" + now().value + "' ends nothing");
    return body;
  }

 private:
  std::unique_ptr<Statement> statement(SK kind) const {
    auto s = std::make_unique<Statement>();
    s->kind = kind;
    s->line = now().line;
    return s;
  }

  // Up to a block that begins with one of `ends`, whose name is the next token then.
  Body statements(std::initializer_list<std::string_view> ends) {
    const Deeper deeper(*this);
    Body body;
    while (now().kind != TK::end) {
      if (now().kind == TK::text) {
        body.push_back(statement(SK::text));
        body.back()->text = now().value;
        move();
      } else if (now().kind == TK::print_begin) {
        body.push_back(statement(SK::print));
        move();
        body.back()->expression = tuple_or_one();
        if (now().kind != TK::print_end) unexpected("'}}'");
        move();
      } else {
        move();
        if (now().kind == TK::name && std::find(ends.begin(), ends.end(), now().value) != ends.end()) return body;
        if (now().kind == TK::name && now().value.starts_with("end")) fail("'" + now().value + "' ends nothing");
        body.push_back(block());
      }
    }
    if (ends.size() > 0) fail(fmt::format("'{}' is missing", *(ends.end() - 1)));
    return body;
  }

  std::unique_ptr<Statement> block() {
    const std::string kind = name();
    if (kind == "if") return branch();
    if (kind == "for") return loop();
    if (kind == "set") return assignment();
    if (kind == "macro") return macro();
    if (kind == "call") return call_block();
    if (kind == "filter") return filter_block();
    if (kind == "with") return with();
    if (kind == "generation") return whole(statement(SK::scope), "endgeneration");
    if (kind == "break" || kind == "continue") {
      if (loops_ == 0) fail("'" + kind + "' outside a loop");
      auto s = statement(kind == "break" ? SK::leave : SK::go_on);
      block_end();
      return s;
    }
    if (kind == "include" || kind == "import" || kind == "from" || kind == "extends" || kind == "block")
      fail("'" + kind + "' reaches for other templates, which is refused");
    fail("an unknown tag '" + kind + "'");
  }

  // The body of a tag that is about to end.
  std::unique_ptr<Statement> whole(std::unique_ptr<Statement> s, const char* end) {
    block_end();
    s->bodies.push_back(statements({end}));
    expect_word(end);
    if (now().kind == TK::name) move();  // the block's name may stand again
    block_end();
    return s;
  }

  std::unique_ptr<Statement> branch() {
    auto s = statement(SK::branch);
    s->conditions.push_back(tuple_or_one());
    while (true) {
      block_end();
      s->bodies.push_back(statements({"elif", "else", "endif"}));
      if (take_word("elif")) {
        s->conditions.push_back(tuple_or_one());
      } else if (take_word("else")) {
        block_end();
        s->bodies.push_back(statements({"endif"}));
        expect_word("endif");
        break;
      } else {
        expect_word("endif");
        break;
      }
    }
    block_end();
    return s;
  }

  std::vector<std::string> targets() {
    std::vector<std::string> names;
    const bool bracket = take_symbol("(");
    names.push_back(name());
    while (take_symbol(",")) names.push_back(name());
    if (bracket) expect_symbol(")");
    return names;
  }

  std::unique_ptr<Statement> loop() {
    auto s = statement(SK::loop);
    s->names = targets();
    expect_word("in");
    s->expression = tuple_or_one(false);
    if (take_word("if")) s->conditions.push_back(expression());
    if (word("recursive")) fail("recursive loops are not known");
    block_end();
    ++loops_;
    s->bodies.push_back(statements({"else", "endfor"}));
    --loops_;
    if (take_word("else")) {
      block_end();
      s->bodies.push_back(statements({"endfor"}));
    }
    expect_word("endfor");
    block_end();
    return s;
  }

  std::unique_ptr<Statement> assignment() {
    auto s = statement(SK::assign);
    s->names = targets();
    if (s->names.size() == 1 && take_symbol(".")) s->text = name();
    if (take_symbol("=")) {
      s->expression = tuple_or_one();
      block_end();
      return s;
    }
    if (symbol("|")) {
      s->expression = filtered(nullptr);
    }
    return whole(std::move(s), "endset");
  }

  void parameters(Statement& s) {
    expect_symbol("(");
    while (!symbol(")")) {
      s.names.push_back(name());
      if (take_symbol("=")) {
        s.defaults.push_back(expression());
      } else if (!s.defaults.empty()) {
        fail("a parameter without a default behind one with");
      }
      if (!take_symbol(",")) break;
    }
    expect_symbol(")");
  }

  std::unique_ptr<Statement> macro() {
    auto s = statement(SK::macro);
    s->text = name();
    parameters(*s);
    const int outside = std::exchange(loops_, 0);
    s = whole(std::move(s), "endmacro");
    loops_ = outside;
    return s;
  }

  std::unique_ptr<Statement> call_block() {
    auto s = statement(SK::call_block);
    if (symbol("(")) parameters(*s);
    s->expression = expression();
    if (s->expression->kind != EK::call) fail("expected a call");
    const int outside = std::exchange(loops_, 0);
    s = whole(std::move(s), "endcall");
    loops_ = outside;
    return s;
  }

  // The filters have no operand: it is the output of the body.
  std::unique_ptr<Statement> filter_block() {
    auto s = statement(SK::filtered);
    ExpressionPtr first = joined(EK::filter, name(), ExpressionPtr());
    if (symbol("(")) arguments(*first);
    s->expression = filtered(std::move(first));
    return whole(std::move(s), "endfilter");
  }

  std::unique_ptr<Statement> with() {
    auto s = statement(SK::scope);
    while (now().kind == TK::name) {
      s->names.push_back(name());
      expect_symbol("=");
      s->conditions.push_back(expression());
      if (!take_symbol(",")) break;
    }
    return whole(std::move(s), "endwith");
  }

  int loops_ = 0;
};

}  // namespace

Body parse(std::string_view source) {
  if (source.size() > longest) throw Error("template", fmt::format("is longer than {} MiB", longest >> 20));
  return Parser(source).run();
}

}  // namespace qkv::jinja
