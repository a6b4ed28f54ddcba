#include "qkv/generate/grammar/json_grammar.h"

namespace qkv {
namespace {

using Rule = Grammar::Rule;

constexpr int64_t most_digits = 16;
constexpr int64_t widest_indentation = 4;  // spaces for a level; or a tab

}  // namespace

JsonGrammar::JsonGrammar(Grammar& g) : grammar_(g) {
  for (int level = 0; level <= deepest_level; ++level) {
    const Rule spaces = g.repeated(g.literal(" "), 0, widest_indentation * level);
    const Rule indentation = level == 0 ? spaces : g.choice({spaces, g.repeated(g.literal("\t"), 1, level)});
    lines_[kept(level)] = g.choice({g.literal(""), g.literal(" "), g.sequence({g.literal("\n"), indentation})});
  }
  const Rule digit = g.one_of({{'0', '9'}});
  const Rule hex = g.one_of({{'0', '9'}, {'a', 'f'}, {'A', 'F'}});
  // Halves of surrogate pairs mean nothing alone.
  const Rule unit =
      g.choice({g.sequence({g.one_of({{'0', '9'}, {'a', 'c'}, {'A', 'C'}, {'e', 'f'}, {'E', 'F'}}), hex, hex, hex}),
                g.sequence({g.one_of({{'d', 'd'}, {'D', 'D'}}), g.one_of({{'0', '7'}}), hex, hex})});
  const Rule escape = g.sequence(
      {g.literal("\\"),
       g.choice(
           {g.one_of(
                {{'"', '"'}, {'\\', '\\'}, {'/', '/'}, {'b', 'b'}, {'f', 'f'}, {'n', 'n'}, {'r', 'r'}, {'t', 't'}}),
            g.sequence({g.literal("u"), unit})})});
  character_ = g.choice({g.one_of(complement({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}, {0xD800, 0xDFFF}})), escape});
  text_ = g.sequence({g.literal("\""), g.repeated(character_, 0), g.literal("\"")});
  integer_ = g.sequence(
      {g.optional(g.literal("-")),
       g.choice({g.literal("0"), g.sequence({g.one_of({{'1', '9'}}), g.repeated(digit, 0, most_digits - 1)})})});
  const Rule fraction = g.sequence({g.literal("."), g.repeated(digit, 1, most_digits)});
  const Rule exponent = g.sequence(
      {g.one_of({{'e', 'e'}, {'E', 'E'}}), g.optional(g.one_of({{'+', '+'}, {'-', '-'}})), g.repeated(digit, 1, 2)});
  number_ = g.sequence({integer_, g.optional(fraction), g.optional(exponent)});
  boolean_ = g.choice({g.literal("true"), g.literal("false")});
  null_ = g.literal("null");
  for (Rule& value : values_) value = g.declare();
  for (int level = 0; level <= deepest_level; ++level) {
    const Rule inner = value(level + 1);
    objects_[kept(level)] = list("{", member(text_, inner), "}", level);
    g.define(value(level), g.choice({object(level), list("[", inner, "]", level), text_, number_, boolean_, null_}));
  }
}

Rule JsonGrammar::member(Rule name, Rule value) {
  return grammar_.sequence({name, grammar_.literal(":"), grammar_.optional(grammar_.literal(" ")), value});
}

Rule JsonGrammar::comma(int level) { return grammar_.sequence({grammar_.literal(","), line(level)}); }

Rule JsonGrammar::list(const char* open, Rule item, const char* close, int level, int64_t least, int64_t most) {
  Grammar& g = grammar_;
  const Rule end = g.sequence({line(level), g.literal(close)});
  if (most == 0) return g.sequence({g.literal(open), end});
  const Rule more = g.sequence({comma(level + 1), item});
  const Rule some =
      g.sequence({line(level + 1), item, g.repeated(more, std::max<int64_t>(0, least - 1), most < 0 ? -1 : most - 1)});
  return g.sequence({g.literal(open), least > 0 ? some : g.optional(some), end});
}

Rule JsonGrammar::characters(const std::vector<CharacterRange>& ranges) {
  std::vector<CharacterRange> plain;
  std::vector<Rule> rules;
  const auto within = [&](char32_t c) {
    for (const auto& [first, last] : ranges)
      if (first <= c && c <= last) return true;
    return false;
  };
  const std::pair<char32_t, const char*> escapes[] = {{'"', "\\\""}, {'\\', "\\\\"}, {'\n', "\\n"}, {'\t', "\\t"},
                                                      {'\r', "\\r"}, {'\b', "\\b"},  {'\f', "\\f"}};
  for (const auto& [c, escape] : escapes)
    if (within(c)) rules.push_back(grammar_.literal(escape));
  for (const auto& [a, b] : complement({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}, {0xD800, 0xDFFF}}))
    for (const auto& [first, last] : ranges)
      if (std::max(a, first) <= std::min(b, last)) plain.emplace_back(std::max(a, first), std::min(b, last));
  if (!plain.empty()) rules.push_back(grammar_.one_of(std::move(plain)));
  return grammar_.choice(rules);
}

Grammar json_object_grammar() {
  Grammar grammar;
  JsonGrammar json(grammar);
  grammar.start(json.object(0));
  return grammar;
}

}  // namespace qkv
