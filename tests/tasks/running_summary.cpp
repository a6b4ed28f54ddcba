// Which messages a summary stands for, and what is read then.
#include "qkv/tasks/running_summary.h"

#include <gtest/gtest.h>

namespace qkv {
namespace {

// A token for each byte of what is said.
std::vector<int32_t> bytes_of_messages(const OrderedJson& messages) {
  std::vector<int32_t> ids;
  for (const OrderedJson& message : messages)
    for (const char c : message["content"].get<std::string>()) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

std::string text_of(const std::vector<int32_t>& ids) {
  std::string text;
  for (const int32_t id : ids) text += static_cast<char>(id);
  return text;
}

OrderedJson said(std::initializer_list<std::pair<const char*, const char*>> messages) {
  OrderedJson all = OrderedJson::array();
  for (const auto& [role, content] : messages) all.push_back({{"role", role}, {"content", content}});
  return all;
}

const OrderedJson talk = said({{"system", "be"},
                               {"user", "one"},
                               {"assistant", "two"},
                               {"user", "three"},
                               {"assistant", "four"},
                               {"user", "five"}});

TEST(RunningSummary, StandsForTheOlderHalfUpToAQuestion) {
  RunningSummary summary(400);
  EXPECT_EQ(summary.read(talk), talk);
  const auto first = summary.ask(talk, {}, bytes_of_messages);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->covers, 2U);
  EXPECT_EQ(first->options.max_new_tokens, 50);
  EXPECT_TRUE(text_of(first->prompt).ends_with("\n\nuser: one\nassistant: two\n"));
  summary.take(*first, "counted");
  const OrderedJson read = summary.read(talk);
  ASSERT_EQ(read.size(), 4U);
  EXPECT_EQ(read[0]["role"], "system");
  EXPECT_TRUE(read[0]["content"].get<std::string>().starts_with("be\n\n"));
  EXPECT_TRUE(read[0]["content"].get<std::string>().ends_with("counted"));
  EXPECT_EQ(read[1], talk[3]);
  // The next one is told the first.
  const auto second = summary.ask(talk, {}, bytes_of_messages);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->covers, 4U);
  EXPECT_TRUE(text_of(second->prompt).ends_with("counted\nuser: three\nassistant: four\n"));
  summary.take(*second, "counted on");
  EXPECT_EQ(summary.read(talk).size(), 2U);
  EXPECT_FALSE(summary.ask(talk, {}, bytes_of_messages)) << "the last question is never summed up";
  OrderedJson shorter = talk;
  shorter.erase(shorter.end() - 1);
  summary.keep_within(shorter);
  EXPECT_EQ(summary.covers(), 4U);
  shorter.erase(shorter.end() - 1);
  summary.keep_within(shorter);
  EXPECT_EQ(summary.covers(), 0U);
  EXPECT_EQ(summary.read(shorter), shorter);
}

TEST(RunningSummary, CallsOfToolsStayWithTheirQuestion) {
  OrderedJson calls =
      said({{"user", "one"}, {"assistant", "two"}, {"user", "three"}, {"assistant", ""}, {"tool", "4"}});
  calls[3]["tool_calls"] = {{{"function", {{"name", "f"}}}}};
  RunningSummary summary(400);
  const auto question = summary.ask(calls, {}, bytes_of_messages);
  ASSERT_TRUE(question);
  EXPECT_EQ(question->covers, 2U);
  calls.push_back({{"role", "user"}, {"content", "five"}});
  summary.take(*question, "");
  const auto next = summary.ask(calls, {}, bytes_of_messages);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->covers, 5U);
  EXPECT_NE(text_of(next->prompt).find(R"({"function":{"name":"f"}})"), std::string::npos);
  EXPECT_FALSE(RunningSummary(400).ask(said({{"assistant", "a"}, {"assistant", "b"}}), {}, bytes_of_messages));
  EXPECT_FALSE(RunningSummary(400).ask(OrderedJson::array(), {}, bytes_of_messages));
}

TEST(RunningSummary, ReadsTheLatestOfWhatIsTooLong) {
  std::string words;
  for (int i = 0; i < 200; ++i) words += "\u00e9";
  OrderedJson messages = said({{"user", ""}, {"assistant", "last"}, {"user", "?"}});
  messages[0]["content"] = words;
  const auto question = RunningSummary(300).ask(messages, {}, bytes_of_messages);
  ASSERT_TRUE(question);
  EXPECT_LE(question->prompt.size() + static_cast<size_t>(question->options.max_new_tokens), 300U);
  const std::string text = text_of(question->prompt);
  EXPECT_TRUE(text.ends_with("\nassistant: last\n"));
  const size_t cut = text.find("\n\n") + 2;
  EXPECT_EQ(text.substr(cut, 2), "\u00e9") << "a character was cut in two";
}

TEST(RunningSummary, IsNotHeldToWhatAnswersAre) {
  GenerationOptions options{.max_new_tokens = 7, .sample = true, .num_return_sequences = 3, .end_ids = {1}};
  options.allowed = [](std::span<const int32_t>, size_t) { return std::vector<int32_t>{2}; };
  options.stop = {"x"};
  options.logit_bias = {{5, 100.0F}};
  const auto question = RunningSummary(400).ask(talk, options, bytes_of_messages);
  ASSERT_TRUE(question);
  EXPECT_FALSE(question->options.allowed);
  EXPECT_TRUE(question->options.stop.empty());
  EXPECT_TRUE(question->options.logit_bias.empty());
  EXPECT_FALSE(question->options.sample);
  EXPECT_EQ(question->options.num_return_sequences, 1);
  EXPECT_EQ(question->options.end_ids, options.end_ids);
}

TEST(RunningSummary, LeavesAnAnswerAQuarter) {
  const RunningSummary summary(400);
  EXPECT_TRUE(summary.leaves_room(300, 5000));
  EXPECT_FALSE(summary.leaves_room(301, 5000));
  EXPECT_TRUE(summary.leaves_room(390, 10));
  EXPECT_FALSE(summary.leaves_room(391, 10));
}

}  // namespace
}  // namespace qkv
