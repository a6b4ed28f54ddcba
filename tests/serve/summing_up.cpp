// A chat that fills the context goes on with a summary in the place of its older messages.
#include "qkv/serve/chat_messages.h"
#include "tests/serve/chat_model.h"

#include <malloc.h>

#include <atomic>
#include <thread>

namespace qkv {
namespace {

class SummingUpChats : public testing::Test {
 protected:
  OrderedJson answer(OrderedJson body, const char* overflow = "summarise") {
    if (overflow != nullptr) body["overflow"] = overflow;
    const Got got = ask(service_, "/v1/chat/completions", body);
    EXPECT_EQ(got.status, 200) << got.body;
    return got.json();
  }
  Got refused(OrderedJson body) {
    body["overflow"] = "summarise";
    Got got = ask(service_, "/v1/chat/completions", body);
    EXPECT_EQ(got.status, 400) << got.body;
    return got;
  }
  // Messages of 60 characters each, the last one a question.
  static OrderedJson talk(size_t messages) {
    OrderedJson all = {{{"role", "system"}, {"content", "be brief"}}};
    for (size_t i = 0; i < messages; ++i)
      all.push_back({{"role", i % 2 == 0 ? "user" : "assistant"},
                     {"content", std::string(57, static_cast<char>('a' + i % 26)) + std::to_string(100 + i)}});
    return all;
  }
  static OrderedJson asking(OrderedJson messages) {
    return {{"messages", std::move(messages)}, {"temperature", 0}, {"max_tokens", 6}};
  }
  int64_t requests() const { return models_.all()[0]->engine_stats()->requests; }

  TinyModel model_{"llama", {{"max_position_embeddings", 1024}}};
  ModelStore models_{{"tiny=" + with_chat_template(model_.path).string()},
                     {.engine = {.context = 512, .max_batch = 4}}};
  Service service_{{}, models_};
};

TEST_F(SummingUpChats, ReadTheSummaryInThePlaceOfOlderMessages) {
  const OrderedJson messages = talk(9);
  const Got full = ask(service_, "/v1/chat/completions", asking(messages));
  EXPECT_EQ(full.json()["error"]["code"], "context_length_exceeded");
  const OrderedJson got = answer(asking(messages));
  EXPECT_LT(got["usage"]["prompt_tokens"], 512);
  // The same by hand.
  const GenerationOptions plain = models_.all()[0]->defaults();
  RunningSummary by_hand(512);
  const auto encode = [&](const OrderedJson& asked) { return chat_prompt(*models_.all()[0], asked); };
  while (!by_hand.leaves_room(std::ssize(encode(by_hand.read(messages))), 6)) {
    const auto question = by_hand.ask(messages, plain, encode);
    ASSERT_TRUE(question);
    const OrderedJson written =
        ask(service_, "/v1/completions",
            {{"prompt", question->prompt}, {"temperature", 0}, {"max_tokens", question->options.max_new_tokens}})
            .json();
    by_hand.take(*question, written["choices"][0]["text"]);
  }
  EXPECT_GT(by_hand.covers(), 0U);
  const OrderedJson same = answer(asking(by_hand.read(messages)), nullptr);
  EXPECT_EQ(got["choices"], same["choices"]);
  EXPECT_EQ(got["usage"], same["usage"]);
}

TEST_F(SummingUpChats, AreTheSameAsAStream) {
  const OrderedJson whole = answer(asking(talk(9)));
  OrderedJson body = asking(talk(9));
  body["stream"] = true;
  body["overflow"] = "summarise";
  std::string text;
  for (const OrderedJson& event : ask(service_, "/v1/chat/completions", body).events())
    if (event["choices"][0]["delta"].contains("content")) text += event["choices"][0]["delta"]["content"];
  EXPECT_EQ(text, whole["choices"][0]["message"]["content"]);
}

TEST_F(SummingUpChats, OfWhatFitsAreAsWithout) {
  EXPECT_EQ(answer(asking(talk(3)))["choices"], answer(asking(talk(3)), "refuse")["choices"]);
  EXPECT_EQ(requests(), 2);
}

TEST_F(SummingUpChats, SumUpOnceForManyTurns) {
  answer(asking(talk(9)));
  const int64_t first = requests();
  EXPECT_GE(first, 2);
  OrderedJson messages = talk(9);
  messages.push_back({{"role", "assistant"}, {"content", "yes"}});
  messages.push_back({{"role", "user"}, {"content", "and"}});
  answer(asking(messages));
  EXPECT_EQ(requests(), first + 1);
  // Another beginning is another conversation.
  messages[1]["content"] = std::string(60, 'z');
  answer(asking(messages));
  EXPECT_GE(requests(), first + 3);
}

TEST_F(SummingUpChats, CannotHelpAQuestionThatIsTooLong) {
  OrderedJson messages = talk(5);
  messages.back()["content"] = std::string(600, 'x');
  const Got got = refused(asking(messages));
  EXPECT_EQ(got.json()["error"]["code"], "context_length_exceeded");
  EXPECT_EQ(refused(asking({{{"role", "user"}, {"content", std::string(600, 'x')}}})).json()["error"]["code"],
            "context_length_exceeded");
}

TEST_F(SummingUpChats, AreForConversationsAlone) {
  const Got got = ask(service_, "/v1/completions", {{"prompt", "hi"}, {"overflow", "summarise"}});
  EXPECT_EQ(got.status, 400);
  EXPECT_EQ(got.json()["error"]["param"], "overflow");
  EXPECT_NE(got.body.find("conversations alone"), std::string::npos) << got.body;
}

// A client who leaves when its body has been read, as soon as anybody else would know.
class GoneReply : public HttpReply {
 public:
  void send(int, const std::string&, std::string, const Headers&) override { ADD_FAILURE() << "nobody reads it"; }
  void begin(int, const std::string&, const Headers&) override {}
  void write(std::string) override {}
  void end() override {}
  void on_abandoned(std::function<void()> callback) override {
    if (listeners_++ > 0) callback();
  }

 private:
  std::atomic<int> listeners_ = 0;
};

TEST_F(SummingUpChats, EndWhenTheClientLeaves) {
  answer(asking(talk(1)));  // the model is loaded
  OrderedJson body = asking(talk(9));
  body["overflow"] = "summarise";
  HttpRequest request{.method = "POST", .path = "/v1/chat/completions", .body = body.dump(), .peer = "test"};
  service_.handler()(std::make_shared<const HttpRequest>(std::move(request)), std::make_shared<GoneReply>());
  while (models_.all()[0]->engine_stats()->cancelled == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  answer(asking(talk(1)));
}

TEST(KeptSummaries, AreOfTheSameBeginning) {
  const auto message = [](const char* role, const char* content) {
    return OrderedJson{{"role", role}, {"content", content}};
  };
  OrderedJson messages = {message("user", "a"), message("assistant", "b"), message("user", "c"),
                          message("assistant", "d"), message("user", "e")};
  KeptSummaries kept;
  RunningSummary summary(100);
  summary.resume("ab", 2);
  kept.keep(messages, summary);
  summary.resume("abcd", 4);
  kept.keep(messages, summary);
  const auto found = [&](const OrderedJson& all) {
    RunningSummary one(100);
    kept.resume(all, one);
    return one.text();
  };
  EXPECT_EQ(found(messages), "abcd");
  OrderedJson other = messages;
  other[3]["content"] = "D";
  EXPECT_EQ(found(other), "ab");
  other[0]["content"] = "A";
  EXPECT_EQ(found(other), "");
  // Where the question behind it is gone, so is its use.
  other = messages;
  other.erase(other.end() - 1);
  EXPECT_EQ(found(other), "ab");
  other = messages;
  other.insert(other.begin(), message("system", "s"));
  EXPECT_EQ(found(other), "abcd");
  kept.clear();
  EXPECT_EQ(found(messages), "");
  for (int i = 0; i < 200; ++i) {
    messages[0]["content"] = std::to_string(i);
    kept.keep(messages, summary);
  }
  messages[0]["content"] = "0";
  EXPECT_EQ(found(messages), "") << "only the latest are kept";
}

TEST(KeptSummaries, TakeNoMemoryForTheMessages) {
  KeptSummaries kept;
  RunningSummary summary(100);
  summary.resume("short", 1);
  const auto taken = [] {
    const struct mallinfo2 now = mallinfo2();
    return now.uordblks + now.hblkhd;
  };
  const size_t before = taken();
  for (int i = 0; i < 64; ++i)
    kept.keep({{{"role", "user"}, {"content", std::to_string(i) + std::string(1 << 20, 'a')}}}, summary);
  EXPECT_LT(taken(), before + (4 << 20));
}

}  // namespace
}  // namespace qkv
