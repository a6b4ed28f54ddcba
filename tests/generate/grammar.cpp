// Grammars: what they accept, and that tokens under them never leave them.
#include "qkv/generate/grammar/grammar.h"

#include "qkv/core/error.h"
#include "qkv/core/random.h"
#include "qkv/generate/grammar/json_grammar.h"
#include "qkv/generate/grammar/regex_grammar.h"
#include "qkv/generate/grammar/token_mask.h"
#include "qkv/text/unicode.h"
#include "tests/generate/accepts.h"

#include <algorithm>
#include <regex>
#include <set>

namespace qkv {
namespace {

using Schema = OrderedJson;

TEST(Grammar, RulesMeanWhatTheySay) {
  Grammar g;
  const auto a = g.literal("a"), b = g.literal("b");
  const auto nested = g.declare();  // a^n b^n
  g.define(nested, g.choice({g.sequence({a, nested, b}), g.literal("")}));
  g.start(g.sequence({nested, g.literal("c"), g.optional(g.repeated(a, 2, 3))}));
  for (const char* yes : {"c", "abc", "aabbc", "aaabbbcaa", "caaa"}) EXPECT_TRUE(accepts(g, yes)) << yes;
  for (const char* no : {"", "ab", "aabc", "abbc", "ca", "caaaa", "cc"}) EXPECT_FALSE(accepts(g, no)) << no;
}

TEST(Grammar, RepeatedNothingEnds) {
  Grammar g;
  const auto nothing = g.optional(g.literal(""));
  g.start(g.sequence({g.repeated(nothing, 0), g.repeated(g.repeated(g.literal("a"), 0), 1)}));
  EXPECT_TRUE(accepts(g, ""));
  EXPECT_TRUE(accepts(g, "aaaa"));
  Grammar left;  // begins with itself
  const auto rule = left.declare();
  left.define(rule, left.choice({left.sequence({rule, left.literal("a")}), left.literal("a")}));
  left.start(rule);
  EXPECT_THROW(left.begin(), Error);
}

TEST(Grammar, Json) {
  const Grammar g = json_object_grammar();
  for (const char* yes :
       {"{}", R"({"a": 1})", R"({"a":[1,-2.5e+3,true,false,null,"x\n\u00e9\"y"]})", "{\n  \"é東😀\": {\"b\": []}\n}"})
    EXPECT_TRUE(accepts(g, yes)) << yes;
  for (const char* no :
       {"", "[]", "1", "{", "{a: 1}", R"({"a" 1})", R"({"a": 01})", R"({"a": 1,})", R"({"a": [1 2]})", R"({"a": "\x"})",
        "{\"a\": \"\n\"}", R"({"a": .5})", R"({"a": "\ud800"})", "{} x", R"({"a": tru})"})
    EXPECT_FALSE(accepts(g, no)) << no;
}

TEST(Grammar, RegularExpressionsAreStandards) {
  Random random{RandomKey{5}};
  for (const char* pattern : {"a*b+c?", "(ab|a)(c|bcd)*", "[a-c]{2,3}d", "(a|b)*abb", "a{2}", "(?:a|b){1,}c", "[^ab]+",
                              "\\d+\\w\\s?", "", "(a*)*b", "^a+$", "x?(y|z){0,2}", "[a\\]b-]*", ".a.", "a+?b*?"}) {
    const Grammar grammar = regex_grammar(pattern);
    const std::regex expected(pattern);
    for (int i = 0; i < 400; ++i) {
      std::string text;
      const int length = static_cast<int>(random.uniform() * 7);
      for (int k = 0; k < length; ++k) text += "abcdyz019 ]-x"[static_cast<size_t>(random.uniform() * 13)];
      EXPECT_EQ(accepts(grammar, text), std::regex_match(text, expected)) << pattern << " on '" << text << "'";
    }
  }
  for (const char* bad : {"(", ")", "[a", "a{2", "*", "a**b(?=c)", "(?=a)", "\\1", "a{3,2}", "a{5000}", "[z-a]", "\\",
                          "a^b", "x{", "\\p{L}", "a++"})
    EXPECT_THROW(regex_grammar(bad), Error) << bad;
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += '(';
  EXPECT_THROW(regex_grammar(deep), Error);
  std::string large;
  for (int i = 0; i < 200; ++i) large += "(a{1000})";
  EXPECT_THROW(regex_grammar(large), Error);
  // What makes backtracking take for ever.
  EXPECT_FALSE(accepts(regex_grammar("(a+)+(a|a)*b"), std::string(3000, 'a')));
}

struct SchemaCase {
  const char* schema;
  std::vector<const char*> yes, no;
};

TEST(Grammar, JsonSchemas) {
  const std::vector<SchemaCase> cases = {
      {R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name"]})",
       {R"({"name": "x"})", R"({"name":"x","age":3})"},
       {"{}", R"({"age":3})", R"({"name":1})", R"({"age":3,"name":"x"})", R"({"name":"x","other":1})",
        R"({"name":"x",})"}},
      {R"({"type":"object","properties":{"a":{},"b":{},"c":{}}})",
       {"{}", R"({"a":1})", R"({"b":1})", R"({"a":1,"c":[2]})", R"({"a":1,"b":2,"c":3})"},
       {R"({"b":1,"a":1})", R"({,"a":1})", R"({"a":1 "b":2})"}},
      {R"({"enum":["red","green",3,null]})", {"\"red\"", "3", "null"}, {"\"blue\"", "4", "\"re\""}},
      {R"({"const":{"a":1}})", {R"({"a":1})"}, {R"({"a":2})"}},
      {R"({"type":"array","items":{"type":"number"},"minItems":1,"maxItems":3})",
       {"[1]", "[1, 2.5]", "[1,2,3]"},
       {"[]", "[1,2,3,4]", "[\"a\"]"}},
      {R"({"type":"array","maxItems":0})", {"[]"}, {"[1]"}},
      {R"({"prefixItems":[{"type":"integer"},{"type":"string"}]})", {"[1,\"a\"]"}, {"[1]", "[\"a\",1]", "[1,\"a\",2]"}},
      {R"({"type":["string","null"],"maxLength":2})", {"\"ab\"", "null", "\"\\n\\u0041\""}, {"\"abc\"", "1"}},
      {R"({"type":"string","pattern":"^[a-c\"]+$"})", {"\"abc\"", "\"a\\\"\""}, {"\"\"", "\"d\"", "\"a\"\""}},
      {R"({"type":"string","format":"date"})", {"\"2024-02-28\""}, {"\"2024-13-01\"", "\"2024-02-30\"", "\"x\""}},
      {R"({"anyOf":[{"type":"boolean"},{"type":"null"}]})", {"true", "null"}, {"0"}},
      {R"({"$ref":"#/$defs/tree","$defs":{"tree":{"type":"object","properties":{"l":{"$ref":"#/$defs/tree"},"v":{"type":"integer"}},"required":["v"]}}})",
       {R"({"v":1})", R"({"l":{"l":{"v":1},"v":2},"v":3})"},
       {R"({"l":{}})", R"({"l":1,"v":2})"}},
      {R"({"type":"object","additionalProperties":{"type":"integer"}})", {"{}", R"({"x":1,"y":2})"}, {R"({"x":"1"})"}},
      {R"({"type":"object","additionalProperties":false})", {"{}"}, {R"({"x":1})"}},
  };
  for (const SchemaCase& c : cases) {
    const Grammar grammar = json_schema_grammar(Schema::parse(c.schema));
    for (const char* yes : c.yes) EXPECT_TRUE(accepts(grammar, yes)) << c.schema << " on " << yes;
    for (const char* no : c.no) EXPECT_FALSE(accepts(grammar, no)) << c.schema << " on " << no;
  }
}

TEST(Grammar, WhatCannotBeKeptToIsRefused) {
  for (const char* schema : {R"({"type":"integer","multipleOf":3})",
                             R"({"type":"string","pattern":"a\\b"})",
                             R"({"type":"string","format":"hostname"})",
                             R"({"not":{}})",
                             R"({"oneOf":[{},{}]})",
                             R"({"minimum":3})",
                             R"({"type":"integer","minimum":3,"maximum":2})",
                             R"({"type":"integer","exclusiveMinimum":true})",
                             R"({"type":"integer","minimum":0.2,"maximum":0.8})",
                             R"({"type":"number","maximum":1e300})",
                             R"({"type":"number","exclusiveMinimum":0.30000000000000004})",
                             R"({"type":"string","minimum":3})",
                             R"({"type":"object","patternProperties":{"a":{}}})",
                             R"({"type":"object","properties":{"a":{}},"required":["b"]})",
                             R"({"$ref":"http://elsewhere"})",
                             R"({"$ref":"#/nowhere"})",
                             R"({"type":"thing"})",
                             R"({"enum":[]})",
                             R"([])",
                             R"(false)",
                             R"({"type":"array","minItems":1000000})",
                             R"({"type":"string","maxLength":-1})",
                             R"({"type":"array","uniqueItems":true})",
                             R"({"type":"object","properties":3})",
                             R"({"anyOf":3})",
                             R"({"$ref":3})",
                             R"({"type":"string","pattern":"^(?=a)$"})"})
    EXPECT_THROW(json_schema_grammar(Schema::parse(schema)), Error) << schema;
  Schema deep = {{"type", "integer"}};
  for (int i = 0; i < 500; ++i) deep = {{"type", "array"}, {"items", deep}};
  EXPECT_THROW(json_schema_grammar(deep), Error);
  // Nothing but itself: no text is allowed.
  EXPECT_FALSE(accepts(json_schema_grammar(Schema::parse(R"({"$ref":"#"})")), "1"));
}

TEST(Grammar, WhiteSpaceIsWhatPrintersWrite) {
  const Schema value = Schema::parse(R"({"a":[1,{"b":[]},[[2]]],"c":{},"d":"x"})");
  const Grammar any = json_object_grammar();
  const Grammar held = json_schema_grammar(Schema::parse(
      R"({"type":"object","properties":{"a":{"type":"array"},"c":{"type":"object"},"d":{"type":"string"}}})"));
  for (const Grammar* g : {&any, &held}) {
    for (const int indent : {-1, 0, 1, 2, 3, 4}) EXPECT_TRUE(accepts(*g, value.dump(indent))) << value.dump(indent);
    EXPECT_TRUE(accepts(*g, value.dump(1, '\t')));
    EXPECT_TRUE(accepts(*g, R"({"a": [1, {"b": []}, [[2]]], "c": {}, "d": "x"})"));
    EXPECT_TRUE(accepts(*g, R"({ "a": [ 1 ], "c": { } })"));
    for (const char* no : {"{\n\n\"a\":[]}", "{  \"a\":[]}", "{\"a\" :[]}", "{\"a\":\n[]}", "{\"a\":[] ,\"c\":{}}",
                           "{\n     \"a\":[]}", "{\"a\":[]\n }", "{ \n\"a\":[]}", " {}", "{} ", "{\t}"})
      EXPECT_FALSE(accepts(*g, no)) << no;
  }
}

TEST(Grammar, AlternativesThatExcludeEachOther) {
  const auto made = [](const char* schema) { return json_schema_grammar(Schema::parse(schema)); };
  const Grammar types = made(R"({"oneOf":[{"type":"integer"},{"type":["string","null"]},{"enum":[true,[1]]}]})");
  for (const char* yes : {"1", "\"x\"", "null", "true", "[1]"}) EXPECT_TRUE(accepts(types, yes)) << yes;
  for (const char* no : {"1.5", "false", "[2]"}) EXPECT_FALSE(accepts(types, no)) << no;
  const Grammar pets = made(
      R"({"discriminator":{"propertyName":"kind"},"oneOf":[{"$ref":"#/$defs/Cat"},{"$ref":"#/$defs/Dog"}],"$defs":{
        "Cat":{"type":"object","properties":{"kind":{"const":"cat","type":"string"},"lives":{"type":"integer"}},"required":["kind"]},
        "Dog":{"type":"object","properties":{"kind":{"enum":["dog","wolf"]},"name":{"type":"string"}}}}})");
  for (const char* yes : {R"({"kind":"cat","lives":9})", R"({"kind":"wolf"})", R"({"name":"Rex"})"})
    EXPECT_TRUE(accepts(pets, yes)) << yes;
  EXPECT_FALSE(accepts(pets, R"({"kind":"cat","name":"Rex"})"));
  for (
      const char* refused :
      {R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", R"({"oneOf":[{"const":1},{"enum":[2,1.0]}]})",
       R"({"oneOf":[{"const":{"a":1,"b":2}},{"const":{"b":2,"a":1}}]})", R"({"oneOf":[{"type":"string"},{}]})",
       R"({"oneOf":[{"properties":{"k":{"const":1}},"required":["k"]},{"properties":{"k":{"const":2}},"required":["k"]}]})",
       R"({"oneOf":[{"type":"object","properties":{"k":{"const":1}}},{"type":"object","properties":{"k":{"const":2}}}]})",
       R"({"oneOf":[{"type":"object","properties":{"k":{"const":1}},"required":["k"]},{"type":"object","properties":{"j":{"const":2}},"required":["j"]}]})",
       R"({"oneOf":[{"$ref":"#"},{"$ref":"#"}]})", R"({"oneOf":3})"})
    EXPECT_THROW(made(refused), Error) << refused;
}

TEST(Grammar, PatternsMatchAnywhereUnlessTheySayWhere) {
  const auto accepted = [](const std::string& pattern, const std::string& text) {
    return accepts(json_schema_grammar({{"type", "string"}, {"pattern", pattern}}), Schema(text).dump());
  };
  for (const char* yes : {"b", "ab", "bc", "a\"b\n", "abab"}) EXPECT_TRUE(accepted("b", yes)) << yes;
  for (const char* no : {"", "a\"", "é"}) EXPECT_FALSE(accepted("b", no)) << no;
  EXPECT_TRUE(accepted("^[0-9]{2}", "12 x"));
  EXPECT_FALSE(accepted("^[0-9]{2}", "x12"));
  EXPECT_TRUE(accepted("x$", "ax"));
  EXPECT_FALSE(accepted("x$", "xa"));
  EXPECT_TRUE(accepted("\\$", "1$ 2"));
  for (const char* yes : {"a", "b"}) EXPECT_TRUE(accepted("^a$|^b$", yes));
  EXPECT_FALSE(accepted("^a$|^b$", "ab"));
  for (const char* yes : {"a1", "0b"}) EXPECT_TRUE(accepted("^a|b$", yes));
  EXPECT_FALSE(accepted("^a|b$", "ba"));
  Random random{RandomKey{6}};
  for (const char* pattern : {"ab|c", "^a|bb", "a+b$", "(a|b)c", "^(ab)*$"})
    for (int i = 0; i < 300; ++i) {
      std::string text;
      for (int k = static_cast<int>(random.uniform() * 6); k > 0; --k)
        text += "abc"[static_cast<size_t>(random.uniform() * 3)];
      EXPECT_EQ(accepted(pattern, text), std::regex_search(text, std::regex(pattern))) << pattern << " on " << text;
    }
}

TEST(Grammar, FormatsOfStrings) {
  struct Case {
    const char* name;
    std::vector<const char*> yes, no;
  };
  const std::vector<Case> cases = {
      {"date",
       {"2024-02-29", "2000-02-29", "2023-12-31", "1999-04-30", "2400-02-28"},
       {"2023-02-29", "1900-02-29", "2100-02-29", "2023-04-31", "2023-00-01", "2023-13-01", "0000-01-01", "2023-1-1"}},
      {"time", {"00:00:00Z", "23:59:59.123456+05:30"}, {"24:00:00Z", "12:60:00Z", "12:00:00", "12:00Z"}},
      {"date-time", {"2024-02-29T12:00:00Z"}, {"2024-02-29 12:00:00Z", "2023-02-29T12:00:00Z"}},
      {"uuid", {"123e4567-e89b-12d3-a456-426614174000"}, {"123e4567-e89b-12d3-a456-42661417400"}},
      {"email",
       {"a@b.co", "first.last+x@mail.example-site.org"},
       {"a@b", "@b.co", "a..b@c.de", ".a@b.co", "a@-b.co", "a b@c.de", "a@b.c1"}},
      {"ipv4", {"0.0.0.0", "255.249.199.99"}, {"256.0.0.1", "1.2.3", "01.2.3.4", "1.2.3.4.5"}},
  };
  for (const Case& c : cases) {
    const Grammar grammar = json_schema_grammar({{"type", "string"}, {"format", c.name}});
    for (const char* yes : c.yes) EXPECT_TRUE(accepts(grammar, Schema(yes).dump())) << c.name << " " << yes;
    for (const char* no : c.no) EXPECT_FALSE(accepts(grammar, Schema(no).dump())) << c.name << " " << no;
  }
}

// As pydantic writes a class with Field(ge=0, le=100), conint(gt=1), Optional[float] with bounds, constr(pattern=...),
// and a Union of classes that a literal tells apart.
TEST(Grammar, SchemasOfPydantic) {
  const Grammar grammar = json_schema_grammar(Schema::parse(R"({
    "$defs": {
      "Card": {"properties": {"by": {"const": "card", "title": "By", "type": "string"},
                              "digits": {"pattern": "^\\d{4}$", "title": "Digits", "type": "string"}},
               "required": ["by", "digits"], "title": "Card", "type": "object"},
      "Cash": {"properties": {"by": {"const": "cash", "title": "By", "type": "string"}},
               "required": ["by"], "title": "Cash", "type": "object"}},
    "properties": {
      "score": {"maximum": 100, "minimum": 0, "title": "Score", "type": "integer"},
      "count": {"exclusiveMinimum": 1, "title": "Count", "type": "integer"},
      "share": {"anyOf": [{"exclusiveMaximum": 1.0, "minimum": 0.0, "type": "number"}, {"type": "null"}], "default": null, "title": "Share"},
      "pay": {"discriminator": {"mapping": {"card": "#/$defs/Card", "cash": "#/$defs/Cash"}, "propertyName": "by"},
              "oneOf": [{"$ref": "#/$defs/Card"}, {"$ref": "#/$defs/Cash"}], "title": "Pay"}},
    "required": ["score", "count", "pay"], "title": "Order", "type": "object"})"));
  EXPECT_TRUE(
      accepts(grammar, R"({"score": 100, "count": 2, "share": 0.25, "pay": {"by": "card", "digits": "0042"}})"));
  EXPECT_TRUE(accepts(grammar, R"({"score": 0, "count": 77, "share": null, "pay": {"by": "cash"}})"));
  for (const char* no :
       {R"({"score": 101, "count": 2, "pay": {"by": "cash"}})", R"({"score": 1, "count": 1, "pay": {"by": "cash"}})",
        R"({"score": 1, "count": 2, "share": 1.0, "pay": {"by": "cash"}})",
        R"({"score": 1, "count": 2, "pay": {"by": "card", "digits": "00427"}})"})
    EXPECT_FALSE(accepts(grammar, no)) << no;
}

TEST(Grammar, GroupsOfOtherKindsAreCalledByTheirNames) {
  const auto refusal = [](const char* pattern) -> std::string {
    try {
      regex_grammar(pattern);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  for (const char* flags : {"(?i)a", "(?i:a)", "(?-s)a", "a(?mx)"})
    EXPECT_NE(refusal(flags).find("inline flags"), std::string::npos) << refusal(flags);
  for (const char* around : {"(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b"})
    EXPECT_NE(refusal(around).find("look-around"), std::string::npos) << refusal(around);
  for (const char* other : {"(?>a)", "(?#a)", "(?P=a)", "(?P>a)", "(?<a"}) EXPECT_NE(refusal(other), "") << other;
  EXPECT_TRUE(accepts(regex_grammar("(?P<year>[0-9]{4})-(?<day>[0-9])"), "2024-1"));
}

class Masks : public testing::TestWithParam<const char*> {
 protected:
  Tokenizer tokenizer_ = Tokenizer::load(fs::path(QKV_SOURCE_DIR) / "tests/golden/tokenizers" / GetParam());
  std::shared_ptr<const TokenTexts> texts_ = std::make_shared<TokenTexts>(tokenizer_);
};

TEST_P(Masks, TokensStayWithinTheGrammar) {
  constexpr int32_t end = -7;
  const Grammar grammar = json_schema_grammar(Schema::parse(
      R"({"type":"object","properties":{"a":{"type":"string","maxLength":6},"b":{"type":"array","items":{"type":"integer"},"maxItems":3}},"required":["a"]})"));
  Random random{RandomKey{9}};
  int ended = 0;
  for (int round = 0; round < 10; ++round) {
    TokenMask mask(texts_, grammar, {end});
    std::vector<int32_t> written;
    for (int step = 0; step < 80; ++step) {
      const std::vector<int32_t> allowed = mask.after(written);
      ASSERT_FALSE(allowed.empty());
      const int32_t token = allowed[static_cast<size_t>(random.uniform() * static_cast<double>(allowed.size()))];
      if (token == end) {
        const Schema value = Schema::parse(tokenizer_.decode(written), nullptr, false);
        ASSERT_TRUE(value.is_object()) << tokenizer_.decode(written);
        EXPECT_TRUE(value["a"].is_string());
        ++ended;
        break;
      }
      written.push_back(token);
      const std::string text = tokenizer_.decode(written);
      if (text.find("\xEF\xBF\xBD") != std::string::npos) continue;  // inside a character
      Grammar::State state = grammar.begin();
      for (const char* p = text.data(); p < text.data() + text.size();)
        state = grammar.after(state, next_code_point(p));
      ASSERT_FALSE(state.empty()) << text;
    }
  }
  EXPECT_GT(ended, 0);
}

TEST_P(Masks, AllThatFitsIsAllowed) {
  const Grammar grammar = regex_grammar("[a-zA-Z ,]+");
  TokenMask mask(texts_, grammar, {});
  const std::vector<int32_t> start = mask.after({});
  ASSERT_FALSE(start.empty());
  const std::vector<int32_t> written = {start.front()};
  const std::vector<int32_t> after = mask.after(written);
  const std::set<int32_t> allowed(after.begin(), after.end());
  int64_t expected = 0;
  const std::string before = tokenizer_.decode(written);
  for (int32_t id = 0; id < tokenizer_.vocab_size(); ++id) {
    if (tokenizer_.is_special(id)) continue;
    const std::string text = tokenizer_.decode(std::vector<int32_t>{written[0], id});
    if (text.size() <= before.size() || text.find("\xEF\xBF\xBD") != std::string::npos) continue;
    const bool fits = accepts(grammar, text);
    expected += fits ? 1 : 0;
    EXPECT_EQ(allowed.contains(id), fits) << id << " '" << text << "'";
  }
  EXPECT_EQ(static_cast<int64_t>(allowed.size()), expected);
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, Masks, testing::Values("gpt2", "llama", "llama3"),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace qkv
