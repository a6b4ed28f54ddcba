// How models of code are asked for the middle of a text.
#include "qkv/text/gap.h"

namespace qkv {
namespace {

// Words are tokens; `names` come first, then "a", "b" and "c".
Tokenizer with_tokens(const std::vector<std::string>& names, const Json& config = Json::object()) {
  Json vocabulary = Json::object();
  Json added = Json::array();
  for (const std::string& name : names) {
    added.push_back({{"id", added.size()},
                     {"content", name},
                     {"special", true},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false}});
    vocabulary[name] = vocabulary.size();
  }
  for (const char* word : {"a", "b", "c"}) vocabulary[word] = vocabulary.size();
  return Tokenizer::from_json({{"model", {{"type", "WordLevel"}, {"vocab", vocabulary}, {"unk_token", "a"}}},
                               {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
                               {"normalizer", nullptr},
                               {"post_processor", nullptr},
                               {"decoder", nullptr},
                               {"added_tokens", added}},
                              config, "test");
}

TEST(Gap, TokensAreKnownByTheirUsualNames) {
  const Tokenizer tokenizer = with_tokens({"<fim_middle>", "<fim_prefix>", "<fim_suffix>", "<|endoftext|>"});
  const std::optional<GapTokens> gap = gap_tokens(tokenizer);
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->prefix, 1);
  EXPECT_EQ(gap->suffix, 2);
  EXPECT_EQ(gap->middle, 0);
  EXPECT_EQ(gap->ends, std::vector<int32_t>{3});
  const std::vector<int32_t> before = {5, 6};
  EXPECT_EQ(gap_prompt(tokenizer, *gap, before, "a c"), (std::vector<int32_t>{1, 5, 6, 2, 4, 6, 0}));
  EXPECT_EQ(gap_prompt(tokenizer, *gap, {}, ""), (std::vector<int32_t>{1, 2, 0}));
}

TEST(Gap, TokensMayBeNamed) {
  const Json names = {{"prefix_token", "P"}, {"suffix_token", {{"content", "S"}}}, {"middle_token", "M"}};
  const std::optional<GapTokens> gap = gap_tokens(with_tokens({"P", "S", "M"}, names));
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->suffix, 1);
  EXPECT_FALSE(gap_tokens(with_tokens({"P", "S", "M"})));
  EXPECT_FALSE(gap_tokens(with_tokens({"<fim_prefix>", "<fim_suffix>"})));
}

}  // namespace
}  // namespace qkv
