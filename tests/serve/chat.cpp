// Conversations: the template's prompt goes in, a message comes out.
#include "qkv/serve/tool_calls.h"
#include "tests/serve/chat_model.h"

namespace qkv {
namespace {

class Chat : public testing::Test {
 protected:
  static constexpr int space = chat_space;
  OrderedJson answer(const OrderedJson& body) {
    const Got got = ask(service_, "/v1/chat/completions", body);
    EXPECT_EQ(got.status, 200) << got.body;
    return got.json();
  }
  void refused(const OrderedJson& body, const std::string& says) {
    const Got got = ask(service_, "/v1/chat/completions", body);
    EXPECT_EQ(got.status, 400) << got.body;
    EXPECT_NE(got.body.find(says), std::string::npos) << got.body;
  }
  static OrderedJson hello() { return {{{"role", "user"}, {"content", "hi"}}}; }
  static OrderedJson tools() {
    return OrderedJson::parse(R"([{"type":"function","function":{"name":"f","parameters":
        {"type":"object","properties":{"on":{"type":"boolean"}},"required":["on"]}}}])");
  }

  TinyModel model_{"llama"};
  ModelStore models_{{"tiny=" + with_chat_template(model_.path).string()}, {.engine = {.max_batch = 4}}};
  Service service_{{}, models_};
};

TEST_F(Chat, IsTheCompletionOfItsPrompt) {
  const OrderedJson got = answer(
      {{"messages",
        {{{"role", "system"}, {"content", "be"}},
         {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "h"}}, {{"type", "text"}, {"text", "i"}}}}}}},
       {"temperature", 0},
       {"max_completion_tokens", 6},
       {"logprobs", true},
       {"top_logprobs", 2}});
  const OrderedJson same =
      ask(service_, "/v1/completions", {{"prompt", "sbeuhi>"}, {"temperature", 0}, {"max_tokens", 6}}).json();
  EXPECT_EQ(got["choices"][0]["message"]["content"], same["choices"][0]["text"]);
  EXPECT_EQ(got["choices"][0]["finish_reason"], same["choices"][0]["finish_reason"]);
  EXPECT_EQ(got["usage"], same["usage"]);
  const OrderedJson& scores = got["choices"][0]["logprobs"]["content"];
  std::string text;
  for (const OrderedJson& token : scores) {
    text += token["token"];
    EXPECT_EQ(token["top_logprobs"].size(), 2U);
    EXPECT_EQ(token["token"], token["top_logprobs"][0]["token"]);
  }
  EXPECT_EQ(text, got["choices"][0]["message"]["content"]);
}

TEST_F(Chat, AStreamSaysTheSame) {
  const OrderedJson body = {{"messages", hello()}, {"seed", 4}, {"n", 3}, {"max_tokens", 12}};
  const OrderedJson whole = answer(body);
  for (const bool with_tools : {false, true}) {
    OrderedJson streamed = body;
    streamed["stream"] = true;
    if (with_tools) {
      streamed["tools"] = tools();
      streamed["messages"][0]["content"] = "x";
    }
    OrderedJson plain = streamed;
    plain["stream"] = false;
    const OrderedJson expected = answer(plain);
    if (!with_tools) {
      EXPECT_EQ(expected["choices"], whole["choices"]);
    }
    std::vector<std::string> texts(3), finish(3), roles(3);
    for (const OrderedJson& event : ask(service_, "/v1/chat/completions", streamed).events())
      for (const OrderedJson& choice : event["choices"]) {
        const auto i = choice["index"].get<size_t>();
        if (choice["delta"].contains("content")) texts[i] += choice["delta"]["content"];
        if (choice["delta"].contains("role")) roles[i] += choice["delta"]["role"];
        if (!choice["finish_reason"].is_null()) finish[i] += choice["finish_reason"];
      }
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(texts[i], expected["choices"][i]["message"]["content"]);
      EXPECT_EQ(finish[i], expected["choices"][i]["finish_reason"]);
      EXPECT_EQ(roles[i], "assistant");
    }
  }
}

TEST_F(Chat, AnswersKeepTheirForm) {
  const OrderedJson schema = OrderedJson::parse(
      R"({"type":"object","properties":{"a":{"enum":["x","yy"]},"n":{"type":"boolean"}},"required":["a","n"],"additionalProperties":false})");
  for (int seed = 0; seed < 8; ++seed) {
    const OrderedJson got =
        answer({{"messages", hello()},
                {"seed", seed},
                {"temperature", 3},
                {"logit_bias", {{std::to_string(space), -100}}},
                {"response_format", {{"type", "json_schema"}, {"json_schema", {{"name", "s"}, {"schema", schema}}}}}});
    const std::string text = got["choices"][0]["message"]["content"];
    EXPECT_EQ(got["choices"][0]["finish_reason"], "stop") << text;
    const OrderedJson value = OrderedJson::parse(text, nullptr, false);
    ASSERT_TRUE(value.is_object()) << text;
    EXPECT_TRUE(value["a"] == "x" || value["a"] == "yy") << text;
    EXPECT_TRUE(value["n"].is_boolean()) << text;
    const OrderedJson digits = answer({{"messages", hello()},
                                       {"seed", seed},
                                       {"temperature", 3},
                                       {"response_format", {{"type", "regex"}, {"pattern", "[0-9]{4}-(a|b)"}}}});
    const std::string said = digits["choices"][0]["message"]["content"];
    EXPECT_EQ(said.size(), 6U) << said;
    const std::string rules = "root ::= \"<\" root \">\" | [0-9]{2}";
    const OrderedJson nested = answer({{"messages", hello()},
                                       {"seed", seed},
                                       {"temperature", 3},
                                       {"response_format", {{"type", "grammar"}, {"grammar", rules}}}});
    const OrderedJson beside = answer({{"messages", hello()}, {"seed", seed}, {"temperature", 3}, {"grammar", rules}});
    const std::string inside = nested["choices"][0]["message"]["content"];
    EXPECT_EQ(beside["choices"][0]["message"]["content"], inside);
    EXPECT_EQ(inside.find_first_not_of("<0123456789>"), std::string::npos) << inside;
    if (nested["choices"][0]["finish_reason"] == "stop") {
      EXPECT_EQ(std::count(inside.begin(), inside.end(), '<'), std::count(inside.begin(), inside.end(), '>'));
    }
  }
  // Even what is begged for does not come when it is outside.
  const OrderedJson forced = answer({{"messages", hello()},
                                     {"logit_bias", {{"70", 100}}},
                                     {"response_format", {{"type", "regex"}, {"pattern", "[0-9]{5}"}}}});
  EXPECT_EQ(forced["choices"][0]["message"]["content"].get<std::string>().find_first_not_of("0123456789"),
            std::string::npos);
}

TEST_F(Chat, FormsThatNoTextHasAreTheClientsMistake) {
  const auto wrong = [&](const OrderedJson& format, const std::string& param, const std::string& part) {
    for (const bool stream : {false, true}) {
      const Got got = ask(service_, "/v1/chat/completions",
                          {{"messages", hello()}, {"stream", stream}, {"response_format", format}});
      EXPECT_EQ(got.status, 400) << got.body;
      const OrderedJson error = got.json()["error"];
      EXPECT_EQ(error["type"], "invalid_request_error");
      EXPECT_EQ(error["param"], param);
      EXPECT_NE(error["message"].get<std::string>().find(part), std::string::npos) << error["message"];
    }
  };
  const auto schema = [](const char* text) {
    return OrderedJson{{"type", "json_schema"}, {"json_schema", {{"name", "a"}, {"schema", OrderedJson::parse(text)}}}};
  };
  const std::string of_schema = "response_format.json_schema.schema";
  wrong(schema(R"({"$ref":"#"})"), of_schema, "ever ends");
  wrong(schema(R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})"), of_schema, "ever ends");
  wrong({{"type", "regex"}, {"pattern", "東+"}}, "response_format.pattern", "no text that a token");
  wrong({{"type", "regex"}, {"pattern", "[\\uD800-\\uDFFF]a"}}, "response_format.pattern", "ever ends");
  wrong({{"type", "grammar"}, {"grammar", "root ::= \"é\""}}, "response_format.grammar", "no text that a token");
  refused({{"messages", hello()}, {"grammar", "root ::= \"é\""}}, "no text that a token");
  // What never ends is not begun where there is another way.
  EXPECT_EQ(
      answer(
          {{"messages", hello()},
           {"response_format",
            schema(
                R"({"anyOf":[{"$ref":"#/$defs/a"},{"const":7}],"$defs":{"a":{"type":"array","minItems":1,"items":{"$ref":"#/$defs/a"}}}})")}})
          ["choices"][0]["message"]["content"],
      "7");
}

TEST_F(Chat, ATextThatGetsStuckEndsAsTheClientsMistake) {
  const OrderedJson body = {{"messages", hello()}, {"grammar", "root ::= \"ab\" \"é\""}};
  const auto checked = [](const OrderedJson& answer) {
    EXPECT_EQ(answer["error"]["type"], "invalid_request_error");
    EXPECT_EQ(answer["error"]["param"], "grammar");
    EXPECT_NE(answer["error"]["message"].get<std::string>().find("no token"), std::string::npos) << answer;
  };
  const Got whole = ask(service_, "/v1/chat/completions", body);
  EXPECT_EQ(whole.status, 400);
  checked(whole.json());
  OrderedJson streamed = body;
  streamed["stream"] = true;
  const Got stream = ask(service_, "/v1/chat/completions", streamed);
  EXPECT_EQ(stream.status, 200);
  std::string text;
  const std::vector<OrderedJson> events = stream.events();
  for (const OrderedJson& event : events)
    if (event.contains("choices")) text += event["choices"][0]["delta"].value("content", "");
  EXPECT_EQ(text, "ab");
  checked(events.back());
}

TEST_F(Chat, CallsThatMustBeMadeAreMade) {
  const OrderedJson body = {{"messages", hello()},
                            {"tools", tools()},
                            {"tool_choice", "required"},
                            {"temperature", 2},
                            {"logit_bias", {{std::to_string(space), -100}}}};
  const OrderedJson got = answer(body);
  const OrderedJson& choice = got["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls") << got;
  EXPECT_TRUE(choice["message"]["content"].is_null());
  EXPECT_EQ(choice["message"]["tool_calls"][0]["function"]["name"], "f");
  EXPECT_TRUE(OrderedJson::parse(choice["message"]["tool_calls"][0]["function"]["arguments"].get<std::string>())["on"]
                  .is_boolean());
  OrderedJson streamed = body;
  streamed["stream"] = true;
  streamed["tool_choice"] = {{"type", "function"}, {"function", {{"name", "f"}}}};
  int calls = 0;
  for (const OrderedJson& event : ask(service_, "/v1/chat/completions", streamed).events()) {
    const OrderedJson& delta = event["choices"][0]["delta"];
    if (delta.contains("tool_calls")) ++calls;
    if (delta.contains("content")) {
      EXPECT_EQ(delta["content"], "");
    }
  }
  EXPECT_EQ(calls, 1);
  // The call and its result can be told again.
  OrderedJson next = {{"messages", hello()}, {"max_tokens", 2}};
  next["messages"].push_back(choice["message"]);
  next["messages"].push_back(
      {{"role", "tool"}, {"content", "done"}, {"tool_call_id", choice["message"]["tool_calls"][0]["id"]}});
  answer(next);
}

TEST(ToolCalls, AreFoundInText) {
  const ToolCalls calls(OrderedJson::parse(
      R"([{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}])"));
  const auto found = [&](const std::string& text) {
    const ToolCalls::Answer answer = calls.read(text);
    std::string names = answer.content + "|";
    for (const Json& call : answer.calls)
      names += call["function"]["name"].get<std::string>() + call["function"]["arguments"].get<std::string>();
    return names;
  };
  EXPECT_EQ(found("plain"), "plain|");
  EXPECT_EQ(found(R"(Well. <tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>)"), R"(Well. |f{"a":1})");
  EXPECT_EQ(found("<tool_call>\n{\"name\": \"f\"}\n</tool_call>\n<tool_call>{\"name\": \"g\"}"), "|f{}g{}");
  EXPECT_EQ(found(R"({"name": "g", "parameters": {"x": "y"}})"), R"(|g{"x":"y"})");
  EXPECT_EQ(found(R"( [{"name": "f", "arguments": {}}, {"name": "g", "arguments": {}}])"), "|f{}g{}");
  // No calls: functions that were not offered, and what is no JSON.
  for (const char* text : {R"({"name": "h"})", R"([1])", "{", R"(<tool_call>{"name": "h"}</tool_call>)",
                           "<tool_call>nonsense</tool_call>", "[]"})
    EXPECT_EQ(found(text), std::string(text) + "|");
  EXPECT_EQ(found(std::string(100000, '[')), std::string(100000, '[') + "|");
  EXPECT_EQ(calls.certain("Well. <tool"), 6U);
  EXPECT_EQ(calls.certain("Well. <tool_call>{"), 6U);
  EXPECT_EQ(calls.certain("Well. <toolbox"), 14U);
  EXPECT_EQ(calls.certain(" {\"a\""), 0U);
}

TEST_F(Chat, WhatMakesNoSenseIsRefused) {
  refused(OrderedJson::object(), "messages");
  refused({{"messages", OrderedJson::array()}}, "messages");
  refused({{"messages", {1}}}, "messages[0]");
  refused({{"messages", {{{"content", "x"}}}}}, "messages[0].role");
  refused({{"messages", {{{"role", "user"}}}}}, "messages[0].content");
  refused({{"messages", {{{"role", "user"}, {"content", {{{"type", "image_url"}}}}}}}}, "pictures");
  refused({{"messages", {{{"role", "bad"}, {"content", "x"}}}}}, "no such role");
  refused({{"messages", hello()}, {"top_logprobs", 2}}, "logprobs");
  refused({{"messages", hello()}, {"tools", {1}}}, "tools");
  refused({{"messages", hello()}, {"tool_choice", "required"}}, "tools");
  refused({{"messages", hello()}, {"tools", tools()}, {"tool_choice", {{"function", {{"name", "g"}}}}}}, "'g'");
  refused({{"messages", hello()}, {"response_format", {{"type", "xml"}}}}, "response_format.type");
  refused({{"messages", hello()},
           {"response_format", {{"type", "json_schema"}, {"json_schema", {{"schema", {{"not", 1}}}}}}}},
          "not");
  refused({{"messages", hello()}, {"response_format", {{"type", "regex"}, {"pattern", "("}}}}, "pattern");
  refused({{"messages", hello()}, {"response_format", {{"type", "grammar"}, {"grammar", "root ::= root"}}}},
          "begin with itself");
  refused({{"messages", hello()}, {"grammar", "root ::= x"}}, "'x'");
  refused({{"messages", hello()}, {"grammar", "root ::= \"a\""}, {"response_format", {{"type", "json_object"}}}},
          "response_format");
  refused({{"messages", hello()}, {"ignore_eos", true}, {"response_format", {{"type", "json_object"}}}}, "ends a text");
  refused({{"messages", hello()}, {"surprise", 1}}, "surprise");
}

TEST(ChatService, ModelsWithoutATemplateSaySo) {
  const TinyModel tiny("gpt2");
  ModelStore models({"tiny=" + tiny.path.string()}, {});
  Service service({}, models);
  const Got got = ask(service, "/v1/chat/completions", {{"messages", {{{"role", "user"}, {"content", "w5"}}}}});
  EXPECT_EQ(got.status, 400);
  EXPECT_EQ(got.json()["error"]["code"], "no_chat_template");
}

}  // namespace
}  // namespace qkv
