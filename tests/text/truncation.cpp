#include "qkv/text/truncation.h"

#include "qkv/core/error.h"
#include "qkv/text/tokenizer.h"

#include <gtest/gtest.h>

namespace qkv {
namespace {

Encoding numbers(int32_t count, int32_t from = 0) {
  Encoding encoding;
  for (int32_t i = from; i < from + count; ++i) {
    encoding.ids.push_back(i);
    encoding.tokens.push_back(std::to_string(i));
    encoding.offsets.emplace_back(i, i + 1);
    encoding.words.push_back(i);
  }
  return encoding;
}

using Ids = std::vector<int32_t>;
using Strategy = Truncation::Strategy;

TEST(Truncation, PartsOverlapByTheStride) {
  Encoding text = numbers(7);
  truncate(text, nullptr, {.stride = 1}, 3);
  EXPECT_EQ(text.ids, (Ids{0, 1, 2}));
  ASSERT_EQ(text.overflowing.size(), 2U);
  EXPECT_EQ(text.overflowing[0].ids, (Ids{2, 3, 4}));
  EXPECT_EQ(text.overflowing[1].ids, (Ids{4, 5, 6}));
  EXPECT_EQ(text.overflowing[1].tokens.back(), "6");
}

TEST(Truncation, FromTheLeft) {
  Encoding text = numbers(7);
  truncate(text, nullptr, {.left = true}, 3);
  EXPECT_EQ(text.ids, (Ids{4, 5, 6}));
  ASSERT_EQ(text.overflowing.size(), 2U);
  EXPECT_EQ(text.overflowing[0].ids, (Ids{1, 2, 3}));
  EXPECT_EQ(text.overflowing[1].ids, Ids{0});
}

TEST(Truncation, TheLongestFirst) {
  const auto lengths = [](int32_t first, int32_t second, int64_t max_length) {
    Encoding a = numbers(first), b = numbers(second);
    truncate(a, &b, {}, max_length);
    return std::pair(a.ids.size(), b.ids.size());
  };
  EXPECT_EQ(lengths(3, 4, 7), (std::pair<size_t, size_t>(3, 4)));
  EXPECT_EQ(lengths(3, 9, 8), (std::pair<size_t, size_t>(3, 5)));
  EXPECT_EQ(lengths(9, 3, 8), (std::pair<size_t, size_t>(5, 3)));
  EXPECT_EQ(lengths(9, 9, 5), (std::pair<size_t, size_t>(2, 3)));
  EXPECT_EQ(lengths(9, 8, 5), (std::pair<size_t, size_t>(3, 2)));
  EXPECT_EQ(lengths(9, 8, 0), (std::pair<size_t, size_t>(0, 0)));
}

TEST(Truncation, OneOfTheTwo) {
  Encoding a = numbers(5), b = numbers(9);
  truncate(a, &b, {.strategy = Strategy::only_second}, 8);
  EXPECT_EQ(a.ids.size(), 5U);
  EXPECT_EQ(b.ids.size(), 3U);
  EXPECT_THROW(truncate(a, nullptr, {.strategy = Strategy::only_second}, 3), Error);
  EXPECT_THROW(truncate(a, &b, {.strategy = Strategy::only_first}, 3), Error);
}

TEST(Truncation, AStrideThatNeverEnds) {
  Encoding text = numbers(7);
  EXPECT_THROW(truncate(text, nullptr, {.stride = 3}, 3), Error);
  EXPECT_NO_THROW(truncate(text, nullptr, {.stride = 3}, 7));
}

TEST(Padding, FillsABatch) {
  std::vector<Encoding> batch = {numbers(2), numbers(5)};
  pad(batch, {.multiple_of = 4, .id = 9});
  EXPECT_EQ(batch[0].ids, (Ids{0, 1, 9, 9, 9, 9, 9, 9}));
  EXPECT_EQ(batch[1].ids.size(), 8U);
  EXPECT_EQ(batch[0].tokens.back(), "[PAD]");
  batch = {numbers(2)};
  pad(batch, {.length = 3, .left = true, .id = 9});
  EXPECT_EQ(batch[0].ids, (Ids{9, 0, 1}));
  pad(batch, {.length = 1});
  EXPECT_EQ(batch[0].ids.size(), 3U);
}

TEST(Limits, RefuseWhatTheyCannotBe) {
  const auto truncation = [](const char* json) { return Truncation::parse({Json::parse(json), "t"}); };
  const auto padding = [](const char* json) { return Padding::parse({Json::parse(json), "t"}); };
  EXPECT_EQ(truncation("null"), std::nullopt);
  EXPECT_EQ(truncation(R"({"max_length": 5, "strategy": "OnlyFirst", "stride": 1, "direction": "Left"})")->stride, 1);
  EXPECT_EQ(padding(R"({"strategy": {"Fixed": 7}})")->length, 7);
  for (const char* json :
       {"3", "{}", R"({"max_length": -1})", R"({"max_length": 1e30})", R"({"max_length": 9999999999})",
        R"({"max_length": 5, "stride": -1})", R"({"max_length": 5, "strategy": "Longest"})",
        R"({"max_length": 5, "strategy": 3})", R"({"max_length": 5, "direction": "Up"})"})
    EXPECT_THROW(truncation(json), Error) << json;
  for (const char* json : {"3", R"({"strategy": "Longest"})", R"({"strategy": {"Fixed": -1}})", R"({"strategy": {}})",
                           R"({"direction": "Up"})", R"({"pad_id": -1})", R"({"pad_id": 4294967296})",
                           R"({"pad_type_id": 256})", R"({"pad_to_multiple_of": -8})", R"({"pad_token": 3})"})
    EXPECT_THROW(padding(json), Error) << json;
}

TEST(Limits, ThroughATokenizer) {
  const Json json = Json::parse(R"({"model": {"type": "WordLevel", "vocab": {"[C]": 0, "a": 1, "b": 2, "[P]": 3},
      "unk_token": "a"}, "pre_tokenizer": {"type": "WhitespaceSplit"},
      "post_processor": {"type": "BertProcessing", "cls": ["[C]", 0], "sep": ["[C]", 0]},
      "truncation": {"max_length": 4, "stride": 0, "strategy": "LongestFirst", "direction": "Right"},
      "padding": {"strategy": {"Fixed": 6}, "direction": "Right", "pad_id": 3, "pad_token": "[P]"}})");
  const Tokenizer tokenizer = Tokenizer::from_json(json, {}, "t");
  EXPECT_EQ(tokenizer.encode("a b a b a").ids.size(), 7U);  // only when asked for
  const EncodeOptions limits{.truncation = tokenizer.truncation(), .padding = tokenizer.padding()};
  const Encoding encoding = tokenizer.encode("a b a b a", limits);
  EXPECT_EQ(encoding.ids, (Ids{0, 1, 2, 0, 3, 3}));
  EXPECT_EQ(encoding.attention_mask, (Ids{1, 1, 1, 1, 0, 0}));
  ASSERT_EQ(encoding.overflowing.size(), 2U);
  EXPECT_EQ(encoding.overflowing[1].ids, (Ids{0, 1, 0, 3, 3, 3}));
  EXPECT_EQ(tokenizer.encode_ids("a b a b a", limits), encoding.ids);
  EXPECT_THROW(tokenizer.encode_pair("a", "b", {.truncation = Truncation{.max_length = 2}}), Error);
  const std::vector<Tokenizer::Text> texts = {{"a"}, {"a b", "b a"}};
  const std::vector<Encoding> together = tokenizer.encode_together(texts, {.padding = Padding{.id = 3}});
  EXPECT_EQ(together[0].ids.size(), 7U);
  EXPECT_EQ(together[1].ids.size(), 7U);
}

}  // namespace
}  // namespace qkv
