// Characters that lie in several tokens: they are written whole or not at all.
#include "qkv/generate/grammar/token_mask.h"

#include "qkv/core/random.h"
#include "qkv/generate/grammar/gbnf_grammar.h"
#include "qkv/generate/grammar/json_grammar.h"
#include "qkv/generate/grammar/regex_grammar.h"
#include "qkv/text/byte_level.h"
#include "qkv/text/unicode.h"
#include "tests/generate/accepts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace qkv {
namespace {

using Ids = std::vector<int32_t>;
constexpr int32_t end = -7;

Json byte_level() {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
}

Tokenizer tokenizer_of(const std::vector<std::string>& spelled, const Json& decoder) {
  Json vocabulary = Json::object();
  for (size_t id = 0; id < spelled.size(); ++id) vocabulary[spelled[id]] = id;
  const Json json = {{"version", "1.0"},
                     {"added_tokens", Json::array()},
                     {"normalizer", nullptr},
                     {"pre_tokenizer", nullptr},
                     {"post_processor", nullptr},
                     {"decoder", decoder},
                     {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", Json::array()}}}};
  return Tokenizer::from_json(json, nullptr, "test");
}

// Tokens of these bytes, as GPT-2 has them.
Tokenizer of_bytes(const std::vector<std::string>& tokens) {
  std::vector<std::string> spelled;
  for (const std::string& token : tokens) spelled.push_back(bytes_to_chars(token));
  return tokenizer_of(spelled, byte_level());
}

std::vector<std::string> every_byte() {
  std::vector<std::string> all;
  for (int byte = 0; byte < 256; ++byte) all.emplace_back(1, static_cast<char>(byte));
  return all;
}

// As Llama has them.
Tokenizer of_byte_tokens() {
  std::vector<std::string> spelled;
  for (int byte = 0; byte < 256; ++byte) spelled.push_back(byte_token(static_cast<uint8_t>(byte)));
  for (const char* other : {"a", "\"", "{", "}", "é"}) spelled.emplace_back(other);
  return tokenizer_of(spelled, {{"type", "Sequence"}, {"decoders", {{{"type", "ByteFallback"}}, {{"type", "Fuse"}}}}});
}

struct Writer {
  Writer(const Tokenizer& tokenizer, Grammar grammar)
      : mask(std::make_shared<TokenTexts>(tokenizer), std::move(grammar), {end}) {}
  std::set<int32_t> after(const Ids& written) {
    const Ids allowed = mask.after(written);
    const std::set<int32_t> as_set(allowed.begin(), allowed.end());
    EXPECT_EQ(as_set.size(), allowed.size()) << "a token twice";
    return as_set;
  }
  // Whether these tokens, one after the other, and then the end are allowed.
  bool writes(const Ids& tokens) {
    for (size_t i = 0; i < tokens.size(); ++i)
      if (!after({tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(i)}).contains(tokens[i])) return false;
    return after(tokens).contains(end);
  }
  bool writes(const std::string& bytes) {  // in tokens that are the bytes
    Ids tokens;
    for (const char byte : bytes) tokens.push_back(static_cast<unsigned char>(byte));
    return writes(tokens);
  }
  TokenMask mask;
};

class ByteTokens : public testing::TestWithParam<bool> {
 protected:
  Tokenizer tokenizer_ = GetParam() ? of_byte_tokens() : of_bytes(every_byte());
};

INSTANTIATE_TEST_SUITE_P(Vocabularies, ByteTokens, testing::Bool(),
                         [](const auto& each) { return each.param ? "fallback" : "byte_level"; });

TEST_P(ByteTokens, CharactersAreWrittenInParts) {
  Writer words(tokenizer_, gbnf_grammar("root ::= \"北京\" | \"😀\""));
  EXPECT_EQ(words.after({}), (std::set<int32_t>{0xE5, 0xF0}));
  for (const char* yes : {"北京", "😀"}) EXPECT_TRUE(words.writes(yes)) << yes;
  for (const char* no : {"北", "京", "北北", "", "\xE5\x8C", "\xF0\x9F\x98\x81"}) EXPECT_FALSE(words.writes(no)) << no;
  // A character that has begun is followed by its rest and by nothing else.
  EXPECT_EQ(words.after({0xE5}), std::set<int32_t>{0x8C});
  EXPECT_EQ(words.after({0xE5, 0x8C}), std::set<int32_t>{0x97});
  EXPECT_EQ(words.after({0xE5, 0x8C, 0x97}), std::set<int32_t>{0xE4});

  Writer accents(tokenizer_, regex_grammar("é+"));
  EXPECT_TRUE(accents.writes("éé"));
  EXPECT_FALSE(accents.writes("e"));
  EXPECT_FALSE(accents.writes("é\xC3")) << "the end inside a character";
}

TEST_P(ByteTokens, RangesOfCharacters) {
  Writer han(tokenizer_, regex_grammar("[一-龥]+"));  // U+4E00 to U+9FA5
  for (const char* yes : {"一", "龥", "北京", "丿耀"}) EXPECT_TRUE(han.writes(yes)) << yes;
  for (const char* no : {"䷿", "龦", "é", "a", "😀"}) EXPECT_FALSE(han.writes(no)) << no;
  std::set<int32_t> first;
  for (int32_t byte = 0xE4; byte <= 0xE9; ++byte) first.insert(byte);
  EXPECT_EQ(han.after({}), first);
  std::set<int32_t> second;
  for (int32_t byte = 0xB8; byte <= 0xBF; ++byte) second.insert(byte);
  EXPECT_EQ(han.after({0xE4}), second);
}

TEST_P(ByteTokens, NoFormButTheShortestAndNoSurrogates) {
  Writer any(tokenizer_, gbnf_grammar("root ::= .*"));
  std::set<int32_t> first = {end};
  for (int32_t byte = 0; byte < 0x80; ++byte) first.insert(byte);
  for (int32_t byte = 0xC2; byte <= 0xF4; ++byte) first.insert(byte);
  Ids said = {'a'};
  if (GetParam())
    for (int32_t id = 256; id < 261; ++id) first.insert(id);
  EXPECT_EQ(any.after(said), first);
  const auto bounds = [&](int32_t byte) {
    const std::set<int32_t> allowed = any.after({byte});
    EXPECT_EQ(static_cast<int32_t>(allowed.size()), *allowed.rbegin() - *allowed.begin() + 1);
    return std::pair(*allowed.begin(), *allowed.rbegin());
  };
  EXPECT_EQ(bounds(0xC2), std::pair(0x80, 0xBF));
  EXPECT_EQ(bounds(0xE0), std::pair(0xA0, 0xBF));
  EXPECT_EQ(bounds(0xED), std::pair(0x80, 0x9F));
  EXPECT_EQ(bounds(0xF0), std::pair(0x90, 0xBF));
  EXPECT_EQ(bounds(0xF4), std::pair(0x80, 0x8F));
  Writer pair(tokenizer_, regex_grammar("[\\uD7FF-\\uE000]"));
  EXPECT_EQ(pair.after({}), (std::set<int32_t>{0xED, 0xEE}));
  EXPECT_EQ(pair.after({0xED}), std::set<int32_t>{0x9F});
}

TEST_P(ByteTokens, JsonWithAnEmoji) {
  Writer json(tokenizer_, json_object_grammar());
  EXPECT_TRUE(json.writes("{\"a\":\"😀é北\"}"));
  EXPECT_FALSE(json.writes("{\"a\":\"\xF0\x9F\x98\"}"));
  EXPECT_FALSE(json.writes("{\"a\":\"\xC3\x28\"}"));
}

TEST(TokenMask, TokensBeginAndEndInsideCharacters) {
  // 北京 is E5 8C 97 E4 BA AC.
  const Tokenizer tokenizer = of_bytes({"\xE5\x8C", "\x97\xE4", "\xBA", "\xAC", "\xE5", "\x8C\x97", "北", "京",
                                        "\xBA\xAC!", "\x97\xE4\xBB", "\x97\xE4\xBA\xAC"});
  Writer words(tokenizer, gbnf_grammar("root ::= \"北京\""));
  EXPECT_EQ(words.after({}), (std::set<int32_t>{0, 4, 6}));
  EXPECT_EQ(words.after({0}), (std::set<int32_t>{1, 10}));
  EXPECT_EQ(words.after({0, 1}), std::set<int32_t>{2});
  EXPECT_EQ(words.after({4}), std::set<int32_t>{5});
  for (const Ids& yes : {Ids{0, 1, 2, 3}, Ids{4, 5, 7}, Ids{6, 7}, Ids{0, 10}}) EXPECT_TRUE(words.writes(yes));
  EXPECT_EQ(tokenizer.decode(Ids{0, 1, 2, 3}), "北京");
}

TEST(TokenMask, AnEndTokenThatReadsLikeTextEndsNothingBeforeItsTime) {
  const Tokenizer tokenizer = of_bytes({"a", "!", "b"});
  TokenMask mask(std::make_shared<TokenTexts>(tokenizer), regex_grammar("a!?b"), {1});
  const auto after = [&](const Ids& written) {
    Ids allowed = mask.after(written);
    std::sort(allowed.begin(), allowed.end());
    return allowed;
  };
  EXPECT_EQ(after({}), Ids{0});
  EXPECT_EQ(after({0}), Ids{2});
  EXPECT_EQ(after({0, 2}), Ids{1});
}

TEST(TokenMask, VocabulariesOfModelsWriteAnyCharacter) {
  for (const char* name : {"gpt2", "llama3"}) {
    const Tokenizer tokenizer = Tokenizer::load(fs::path(QKV_SOURCE_DIR) / "tests/golden/tokenizers" / name);
    Writer words(tokenizer, gbnf_grammar("root ::= \"北京\" | \"😀\""));
    for (const char* text : {"北京", "😀"})
      EXPECT_TRUE(words.writes(tokenizer.encode_ids(text, {.add_special_tokens = false}))) << name << " " << text;
  }
}

// Walks a grammar over bytes, slowly: what is a whole character is matched, and what has begun must be the beginning of
// some character that matches.
class Oracle {
 public:
  explicit Oracle(Grammar grammar) : grammar_(std::move(grammar)) {}

  bool begins(const std::string& bytes) { return rest_of(bytes).has_value(); }
  bool complete(const std::string& bytes) {
    const auto rest = rest_of(bytes);
    return rest && rest->empty() && Grammar::complete(state_);
  }

 private:
  std::optional<std::string> rest_of(const std::string& bytes) {
    size_t valid = invalid_utf8(bytes);
    if (valid == std::string::npos) valid = bytes.size();
    state_ = grammar_.begin();
    for (const char* p = bytes.data(); p < bytes.data() + valid && !state_.empty();)
      state_ = grammar_.after(state_, next_code_point(p));
    if (state_.empty()) return {};
    const std::string rest = bytes.substr(valid);
    if (rest.empty()) return rest;
    const auto [known, fresh] = begun_.try_emplace({state_, rest}, false);
    if (fresh) known->second = may_become(rest);
    if (!known->second) return {};
    return rest;
  }

  bool may_become(const std::string& rest) const {
    static const auto characters = [] {
      std::map<std::string, std::vector<char32_t>> by_beginning;
      // Of the very many behind U+FFFF some are enough; one of them is 😀.
      for (char32_t c = 0x80; c < code_point_end; c += c < 0x10000 ? 1 : 32) {
        if (c >= 0xD800 && c <= 0xDFFF) continue;
        const std::string bytes = utf8(c);
        for (size_t n = 1; n < bytes.size(); ++n) by_beginning[bytes.substr(0, n)].push_back(c);
      }
      return by_beginning;
    }();
    const auto found = characters.find(rest);
    return found != characters.end() && std::any_of(found->second.begin(), found->second.end(),
                                                    [&](char32_t c) { return !grammar_.after(state_, c).empty(); });
  }

  Grammar grammar_;
  Grammar::State state_;
  std::map<std::pair<Grammar::State, std::string>, bool> begun_;
};

TEST(TokenMask, AgreesWithAWalkOverBytes) {
  Random random{RandomKey{11}};
  const auto upto = [&](size_t most) { return static_cast<size_t>(random.uniform() * static_cast<double>(most)); };
  const std::string alphabet = "ab\"é北京😀\xE5\x8C\xF0\xC3\x80\xED\xA0\xFF";
  for (const char* rules : {"root ::= (\"北京\" | \"😀\" | \"é\")*", "root ::= [a-é]* [一-龥] | \"ab\" root",
                            "root ::= \"\\\"\" [^\"a]* \"\\\"\"", "root ::= ([\\u0080-\\uFFFF] \"a\"){2} .?"}) {
    Oracle oracle(gbnf_grammar(rules));
    std::set<std::string> some = {"a", "b", "\"", "\xE5", "\x8C", "\x97", "\xC3", "\xA9", "\xF0\x9F", "\x98"};
    while (some.size() < 70) {
      std::string token;
      for (size_t left = 1 + upto(5); left > 0; --left) token += alphabet[upto(alphabet.size())];
      some.insert(token);
      const std::string text = "a北京😀é\"b";
      const size_t begin = upto(text.size());
      some.insert(text.substr(begin, 1 + upto(5)));
    }
    const std::vector<std::string> tokens(some.begin(), some.end());
    const Tokenizer tokenizer = of_bytes(tokens);
    for (int round = 0; round < 12; ++round) {
      Writer writer(tokenizer, gbnf_grammar(rules));
      Ids written;
      std::string bytes;
      for (int step = 0; step < 10; ++step) {
        const std::set<int32_t> allowed = writer.after(written);
        for (size_t id = 0; id < tokens.size(); ++id)
          ASSERT_EQ(allowed.contains(static_cast<int32_t>(id)), oracle.begins(bytes + tokens[id]))
              << rules << " behind '" << bytes << "' on '" << tokens[id] << "'";
        ASSERT_EQ(allowed.contains(end), oracle.complete(bytes)) << rules << " behind '" << bytes << "'";
        Ids choices(allowed.begin(), allowed.end());
        std::erase(choices, end);
        if (choices.empty()) break;
        written.push_back(choices[upto(choices.size())]);
        bytes += tokens[static_cast<size_t>(written.back())];
      }
    }
  }
}

}  // namespace
}  // namespace qkv
