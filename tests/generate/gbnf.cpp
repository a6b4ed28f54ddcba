// Grammars in GBNF: what they accept, and what is refused with its name and line.
#include "qkv/generate/grammar/gbnf_grammar.h"

#include "qkv/core/error.h"
#include "qkv/generate/grammar/token_mask.h"
#include "qkv/text/unicode.h"
#include "tests/generate/accepts.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace qkv {
namespace {

std::string refusal(const std::string& text) {
  try {
    gbnf_grammar(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

struct Case {
  const char* rules;
  std::vector<const char*> yes, no;
};

TEST(Gbnf, RulesMeanWhatTheySay) {
  const std::vector<Case> cases = {
      {"root ::= \"a\" \"b\"", {"ab"}, {"", "a", "abc", "a b"}},
      {"root ::= \"a\" | \"b\" | ", {"a", "b", ""}, {"ab"}},
      {"root ::= \"ab\"* \"c\"+ \"d\"?", {"c", "ababccd"}, {"", "abd", "aab", "cdd"}},
      {"root ::= [a-c]{2} [^a-c]{1,} [x\\]-]{0,2}", {"abz", "ccxyz--]", "abd]x"}, {"a", "abc", "abca"}},
      {"root ::= ([0-9]{2,3} \",\")+", {"12,", "123,45,"}, {"1,", "1234,", ""}},
      {"root ::= ( # a comment with ) in it\n  \"a\"\n\n  | [b]\n)+\n\n# end", {"abba"}, {"", "c"}},
      {"root ::=\n  \"a\" |\n  \"b\"\r\nother ::= \"c\"\r\n", {"a", "b"}, {"c"}},
      {"root ::= pair-1 pair_1\npair-1 ::= \"1\"\npair_1::=\"2\"", {"12"}, {"21"}},
      {R"(root ::= "\n\t\r\\\"\[\]" "\x41\u00e9\U0001F600")", {"\n\t\r\\\"[]Aé😀"}, {"n"}},
      {"root ::= [ぁ-ゟ]+ | .", {"ひらがな", "x", "\n"}, {"xx", ""}},
      // a^n b^n, and a list that contains lists.
      {"root ::= \"a\" root \"b\" | \"c\"", {"c", "aacbb"}, {"aacb", ""}},
      {"root ::= \"[\" (root (\",\" root)*)? \"]\"", {"[]", "[[],[[]]]"}, {"[", "[[]", "[,]"}},
      // Rounds of nothing end.
      {"root ::= (\"a\"* \"b\"?)* \"c\"\n", {"c", "aabac"}, {"ab"}},
      {"root ::= (x)*\nx ::= \"a\"*", {"", "aa"}, {"b"}},
  };
  for (const Case& c : cases) {
    const Grammar grammar = gbnf_grammar(c.rules);
    for (const char* yes : c.yes) EXPECT_TRUE(accepts(grammar, yes)) << c.rules << " on " << yes;
    for (const char* no : c.no) EXPECT_FALSE(accepts(grammar, no)) << c.rules << " on " << no;
  }
}

TEST(Gbnf, Arithmetic) {
  const Grammar grammar = gbnf_grammar(
      "root  ::= (expr \"=\" ws term \"\\n\")+\n"
      "expr  ::= term ([-+*/] ws term)*\n"
      "term  ::= ident | num | \"(\" ws expr \")\" ws\n"
      "ident ::= [a-z] [a-z0-9_]* ws\n"
      "num   ::= [0-9]+ ws\n"
      "ws    ::= [ \\t]*\n");
  EXPECT_TRUE(accepts(grammar, "a1 + (2*(b)) = c\n7=7\n"));
  EXPECT_FALSE(accepts(grammar, "a1 + (2*(b) = c\n"));
  EXPECT_FALSE(accepts(grammar, "= c\n"));
}

TEST(Gbnf, WhatIsNoGrammarIsRefusedWithItsLine) {
  const std::vector<std::pair<std::string, const char*>> cases = {
      {"", "'root'"},
      {"start ::= \"a\"", "'root'"},
      {"root ::= a\n", "'a'"},
      {"\n\nroot ::= \"x\" missing", "line 3"},
      {"root ::= \"a\"\nroot ::= \"b\"", "twice"},
      {"root = \"a\"", "::="},
      {"root ::= \"a", "too early"},
      {"root ::= [a", "too early"},
      {"root ::= (\"a\"", "without its ')'"},
      {"root ::= \"a\")", "without its '('"},
      {"root ::= []", "no characters"},
      {"root ::= [b-a]", "later to earlier"},
      {"root ::= \"\\q\"", "escape"},
      {"root ::= \"\\xg0\"", "hexadecimal"},
      {"root ::= \"\\U00110000\"", "beyond"},
      {"root ::= *", "no part of a rule"},
      {"root ::= \"a\"{3,2}", "more to fewer"},
      {"root ::= \"a\"{,2}", "repetition"},
      {"root ::= \"a\"{99999999999999999999}", "2000"},
      {"root ::= <think>", "tokens"},
      {"root ::= !<[7]>", "tokens"},
      {"root ::= \"\xff\"", "UTF-8"},
      {"root ::= \"a\"\n  | \"b\"", "line 2"},
  };
  for (const auto& [rules, part] : cases)
    EXPECT_NE(refusal(rules).find(part), std::string::npos) << rules << ": " << refusal(rules);
}

TEST(Gbnf, RulesThatBeginWithThemselvesAreNamed) {
  for (const char* rules : {
           "root ::= root \"a\" | \"a\"",
           "root ::= \"x\" list\nlist ::= other \"a\"\nother ::= \"\" list | \"b\"",
           "root ::= \"x\" list\nlist ::= (\"y\"? list \"z\")*",
           "root ::= \"x\" list\nlist ::= empty list \"z\"\nempty ::= \"a\"*",
           "root ::= \"x\" list\nlist ::= list",
       }) {
    const std::string said = refusal(rules);
    EXPECT_NE(said.find("begin with itself"), std::string::npos) << rules << ": " << said;
    EXPECT_TRUE(said.find("'list'") != std::string::npos || said.find("'root'") != std::string::npos ||
                said.find("'other'") != std::string::npos)
        << said;
  }
  // A long way round, which no stack of ours should feel.
  std::string far = "root ::= r0\n";
  for (int i = 0; i < 4000; ++i) far += "r" + std::to_string(i) + "::=r" + std::to_string(i + 1) + "\n";
  EXPECT_EQ(refusal(far + "r4000::=\"a\""), "");
  EXPECT_NE(refusal(far + "r4000::=r7").find("begin with itself"), std::string::npos);
}

TEST(Gbnf, HostileOnesAreBounded) {
  EXPECT_NE(refusal("root ::= " + std::string(100, '(') + "\"a\"" + std::string(100, ')')).find("deep"),
            std::string::npos);
  EXPECT_NE(refusal("root ::= \"" + std::string(70000, 'a') + "\"").find("longer"), std::string::npos);
  std::string large = "root ::= \"a\"";
  for (int i = 0; i < 100; ++i) large += "{0,2000} \"a\"";
  EXPECT_NE(refusal(large).find("symbols"), std::string::npos);
  // Every letter doubles the ways: they are cut off, and then nothing is allowed.
  const Grammar wide =
      gbnf_grammar("root ::= a a a a a a a a a a a a a a a a a a\na ::= (\"x\" | \"x\" b)*\nb ::= a a");
  Grammar::State state = wide.begin();
  try {
    for (int i = 0; i < 200 && !state.empty(); ++i) state = wide.after(state, 'x');
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("too many ways"), std::string::npos);
  }
  // So deep, and no deeper.
  const Grammar deep = gbnf_grammar("root ::= \"(\" root \")\" | \"\"");
  EXPECT_TRUE(accepts(deep, std::string(500, '(') + std::string(500, ')')));
  EXPECT_THROW(accepts(deep, std::string(600, '(')), Error);
}

}  // namespace
}  // namespace qkv
