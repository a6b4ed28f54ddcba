// Completions are what the generator writes, in OpenAI's form.
#include "qkv/generate/generator.h"
#include "qkv/io/model_source.h"
#include "tests/serve/asked.h"

namespace qkv {
namespace {

class Completions : public testing::Test {
 protected:
  // Golden models are as small as tests need, and so is their context.
  Completions() : models_({"tiny=" + model_.path.string()}, {.engine = {.max_batch = 4, .page_size = 4}}) {}

  // What the likeliest tokens say, without a server.
  std::string greedy(const std::string& prompt, int64_t count) const {
    const LoadedModel loaded = load_model(model_.path);
    const Tokenizer tokenizer = load_tokenizer(model_.path);
    GenerationOptions options = models_.all()[0]->defaults();
    options.max_new_tokens = count;
    std::vector<int32_t> ids = tokenizer.encode_ids(prompt);
    const auto result = Generator(*loaded.model, DType::f32).generate({ids}, options)[0][0];
    ids.insert(ids.end(), result.ids.begin(), result.ids.end());
    return tokenizer.decode(ids).substr(prompt.size());
  }
  OrderedJson complete(const OrderedJson& body) {
    const Got got = ask(service_, "/v1/completions", body);
    EXPECT_EQ(got.status, 200) << got.body;
    return got.json();
  }
  void refused(const OrderedJson& body, const std::string& param, int status = 400) {
    const Got got = ask(service_, "/v1/completions", body);
    EXPECT_EQ(got.status, status) << got.body;
    EXPECT_EQ(got.json()["error"]["param"], param) << got.body;
  }

  TinyModel model_{"gpt2"};
  ModelStore models_;
  Service service_{{}, models_};
};

TEST_F(Completions, AreWhatTheGeneratorWrites) {
  const OrderedJson answer =
      complete({{"model", "tiny"}, {"prompt", "w5 w6 w7"}, {"temperature", 0}, {"max_tokens", 6}});
  EXPECT_EQ(answer["object"], "text_completion");
  EXPECT_EQ(answer["model"], "tiny");
  EXPECT_EQ(answer["choices"][0]["text"], greedy("w5 w6 w7", 6));
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 3);
  EXPECT_EQ(answer["usage"]["total_tokens"], 3 + answer["usage"]["completion_tokens"].get<int>());
  // The same as ids.
  const OrderedJson ids = complete({{"prompt", {5, 6, 7}}, {"temperature", 0}, {"max_tokens", 6}});
  EXPECT_EQ(ids["choices"], answer["choices"]);
}

TEST_F(Completions, SeveralPromptsKeepTheirOrder) {
  const OrderedJson answer =
      complete({{"prompt", {"w5", "w6 w8", "w9"}}, {"temperature", 0}, {"max_tokens", 4}, {"n", 2}});
  ASSERT_EQ(answer["choices"].size(), 6U);
  const std::vector<std::string> prompts = {"w5", "w6 w8", "w9"};
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(answer["choices"][i]["index"], i);
    EXPECT_EQ(answer["choices"][i]["text"], greedy(prompts[i / 2], 4));
  }
}

TEST_F(Completions, AStreamSaysTheSame) {
  const OrderedJson body = {{"prompt", {"w5 w6", "w9"}}, {"seed", 3}, {"n", 2}, {"max_tokens", 8}, {"logprobs", 2}};
  const OrderedJson whole = complete(body);
  OrderedJson streamed = body;
  streamed["stream"] = true;
  streamed["stream_options"] = {{"include_usage", true}};
  const Got got = ask(service_, "/v1/completions", streamed);
  EXPECT_TRUE(got.body.ends_with("data: [DONE]\n\n"));
  std::vector<std::string> texts(4), finish(4);
  std::vector<size_t> tokens(4);
  const std::vector<OrderedJson> events = got.events();
  for (const OrderedJson& event : events)
    for (const OrderedJson& choice : event["choices"]) {
      const auto i = choice["index"].get<size_t>();
      texts[i] += choice["text"];
      if (!choice["finish_reason"].is_null()) finish[i] = choice["finish_reason"];
      if (choice["logprobs"].is_null()) continue;
      const OrderedJson& all = whole["choices"][i]["logprobs"];
      for (size_t t = 0; t < choice["logprobs"]["tokens"].size(); ++t, ++tokens[i]) {
        for (const char* part : {"tokens", "text_offset"})
          EXPECT_EQ(choice["logprobs"][part][t], all[part][tokens[i]]) << part;
        // Who runs beside whom decides over the last bits.
        EXPECT_NEAR(choice["logprobs"]["token_logprobs"][t].get<double>(),
                    all["token_logprobs"][tokens[i]].get<double>(), 1e-4);
        EXPECT_EQ(choice["logprobs"]["top_logprobs"][t].size(), 2U);
      }
    }
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(texts[i], whole["choices"][i]["text"]);
    EXPECT_EQ(finish[i], whole["choices"][i]["finish_reason"]);
    EXPECT_EQ(tokens[i], whole["choices"][i]["logprobs"]["tokens"].size());
  }
  EXPECT_EQ(events.back()["usage"], whole["usage"]);
}

TEST_F(Completions, EchoAndLogProbabilities) {
  const OrderedJson answer = complete({{"prompt", "w5 w6 w7"}, {"echo", true}, {"logprobs", 3}, {"max_tokens", 0}});
  const OrderedJson& choice = answer["choices"][0];
  EXPECT_EQ(choice["text"], "w5 w6 w7");
  const OrderedJson& scores = choice["logprobs"];
  ASSERT_EQ(scores["tokens"].size(), 3U);
  EXPECT_TRUE(scores["token_logprobs"][0].is_null());
  EXPECT_EQ(scores["top_logprobs"][1].size(), 3U);
  // What a next token's log probability is, as an answer.
  const OrderedJson next = complete(
      {{"prompt", "w5 w6"}, {"temperature", 0}, {"max_tokens", 1}, {"logprobs", 1}, {"logit_bias", {{"7", 100}}}});
  EXPECT_NEAR(next["choices"][0]["logprobs"]["token_logprobs"][0].get<double>(),
              scores["token_logprobs"][2].get<double>(), 1e-4);
  const OrderedJson one = complete({{"prompt", "w5"}, {"echo", true}, {"logprobs", 0}, {"max_tokens", 2}, {"n", 2}});
  for (const OrderedJson& each : one["choices"]) {
    EXPECT_EQ(each["logprobs"]["tokens"].size(), 3U);
    EXPECT_TRUE(each["logprobs"]["top_logprobs"].is_null());
  }
}

TEST_F(Completions, StopEndsBefore) {
  const OrderedJson free = complete({{"prompt", "w5 w6 w7"}, {"temperature", 0}, {"max_tokens", 8}});
  const std::string text = free["choices"][0]["text"];
  const std::string stop = text.substr(text.size() / 2, 3);
  for (const bool stream : {false, true}) {
    const Got got =
        ask(service_, "/v1/completions",
            {{"prompt", "w5 w6 w7"}, {"temperature", 0}, {"max_tokens", 8}, {"stop", stop}, {"stream", stream}});
    std::string said;
    std::string finish;
    for (const OrderedJson& event : stream ? got.events() : std::vector<OrderedJson>{got.json()})
      for (const OrderedJson& choice : event["choices"]) {
        said += choice["text"];
        if (!choice["finish_reason"].is_null()) finish = choice["finish_reason"];
      }
    EXPECT_EQ(said, text.substr(0, text.find(stop)));
    EXPECT_EQ(finish, "stop");
  }
}

TEST_F(Completions, BestOfGivesTheLikeliest) {
  const auto mean = [](const OrderedJson& choice) {
    double sum = 0;
    for (const OrderedJson& score : choice["logprobs"]["token_logprobs"]) sum += score.get<double>();
    return sum / static_cast<double>(choice["logprobs"]["token_logprobs"].size());
  };
  const OrderedJson body = {{"prompt", "w5"}, {"seed", 1}, {"max_tokens", 5}, {"logprobs", 0}, {"ignore_eos", true}};
  OrderedJson all = body, best = body;
  all["n"] = 4;
  best["best_of"] = 4;
  double highest = -1e9;
  const OrderedJson each = complete(all);
  for (const OrderedJson& choice : each["choices"]) highest = std::max(highest, mean(choice));
  const OrderedJson answer = complete(best);
  ASSERT_EQ(answer["choices"].size(), 1U);
  EXPECT_NEAR(mean(answer["choices"][0]), highest, 1e-5);
  EXPECT_EQ(answer["usage"]["completion_tokens"], 20);
}

TEST_F(Completions, MoreContinuationsThanRunTogetherAreWrittenAsRoomIsFree) {
  OrderedJson body = {{"prompt", {"w5 w6", "w9"}}, {"seed", 3}, {"n", 9}, {"max_tokens", 6}};
  const OrderedJson answer = complete(body);
  ASSERT_EQ(answer["choices"].size(), 18U);
  // The same as where all run together.
  ModelStore roomy({"tiny=" + model_.path.string()}, {.engine = {.max_batch = 32, .page_size = 4}});
  Service service({}, roomy);
  EXPECT_EQ(ask(service, "/v1/completions", body).json()["choices"], answer["choices"]);
  // And streamed.
  body["stream"] = true;
  std::vector<std::string> texts(18);
  size_t finished = 0;
  for (const OrderedJson& event : ask(service_, "/v1/completions", body).events())
    for (const OrderedJson& choice : event["choices"]) {
      texts[choice["index"].get<size_t>()] += choice["text"].get<std::string>();
      finished += choice["finish_reason"].is_null() ? 0 : 1;
    }
  EXPECT_EQ(finished, 18U);
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(texts[i], answer["choices"][i]["text"]) << i;
  EXPECT_EQ(complete({{"prompt", "w5"}, {"best_of", 20}, {"n", 2}, {"max_tokens", 3}})["choices"].size(), 2U);
}

TEST_F(Completions, SeedsRepeat) {
  const OrderedJson body = {{"prompt", "w5"}, {"seed", 7}, {"max_tokens", 12}};
  EXPECT_EQ(complete(body)["choices"], complete(body)["choices"]);
}

TEST_F(Completions, SlideForgetsWhereTheContextIsFull) {
  const int64_t context = models_.all()[0]->context();
  OrderedJson body = {{"prompt", OrderedJson::array()}, {"temperature", 0}, {"max_tokens", 4}, {"ignore_eos", true}};
  for (int64_t i = 0; i < context + 3; ++i) body["prompt"].push_back(5 + i % 7);
  refused(body, "prompt");
  body["overflow"] = "slide";
  EXPECT_EQ(complete(body)["usage"]["completion_tokens"], 4);
  const OrderedJson longer = {{"prompt", "w5"}, {"temperature", 0}, {"max_tokens", context + 9}, {"ignore_eos", true}};
  EXPECT_EQ(complete(longer)["usage"]["completion_tokens"], context - 1);
  OrderedJson sliding = longer;
  sliding["overflow"] = "slide";
  EXPECT_EQ(complete(sliding)["usage"]["completion_tokens"], context + 9);
}

TEST_F(Completions, WhatMakesNoSenseIsRefused) {
  refused({{"prompt", "w5"}, {"overflow", "spill"}}, "overflow");
  refused({{"prompt", "w5"}, {"model", "other"}}, "model", 404);
  refused({{"prompt", "w5"}, {"temperature", "hot"}}, "temperature");
  refused({{"prompt", "w5"}, {"temperature", -1}}, "temperature");
  refused({{"prompt", "w5"}, {"max_tokens", -1}}, "max_tokens");
  refused({{"prompt", "w5"}, {"max_tokens", 1.5}}, "max_tokens");
  refused({{"prompt", "w5"}, {"n", 0}}, "n");
  refused({{"prompt", "w5"}, {"n", 129}}, "n");
  refused({{"prompt", "w5"}, {"n", 3}, {"best_of", 2}}, "best_of");
  refused({{"prompt", "w5"}, {"n", 2}, {"best_of", 2}, {"temperature", 1}, {"min_p", 1}}, "min_p");
  refused({{"prompt", "w5"}, {"unheard_of", 1}}, "unheard_of");
  refused({{"prompt", {1, 100000}}}, "prompt");
  refused({{"prompt", {{"a", 1}}}}, "prompt");
  refused({{"prompt", OrderedJson::array()}}, "prompt");
  refused({{"prompt", "w5"}, {"stop", {1}}}, "stop");
  refused({{"prompt", "w5"}, {"stop", ""}}, "stop");
  refused({{"prompt", "w5"}, {"suffix", "w6"}}, "suffix");
  refused({{"prompt", "w5"}, {"logit_bias", {{"x", 1}}}}, "logit_bias");
  refused({{"prompt", "w5"}, {"logit_bias", {{"5", 1000}}}}, "logit_bias");
  refused({{"prompt", "w5"}, {"stream_options", {{"include_usage", true}}}}, "stream_options");
  std::string longer;
  for (int i = 0; i < 2000; ++i) longer += "w5 ";
  refused({{"prompt", longer}}, "prompt");
}

TEST_F(Completions, HostileBodiesAreRefused) {
  const auto status = [&](const std::string& body) {
    return ask_later(service_, {.method = "POST", .path = "/v1/completions", .body = body}).get().status;
  };
  for (const std::string& body :
       {std::string(), std::string("{"), std::string("[]"), std::string("null"), std::string("{\"prompt\": \"\xff\"}"),
        std::string("{\"prompt\": \"\\ud800\"}"), std::string("{\"n\": 1e999}"), std::string("{\"prompt\": 1} x"),
        std::string(100000, '['), "{\"prompt\":" + std::string(10000, '{'),
        std::string("{\"seed\": 99999999999999999999}")})
    EXPECT_EQ(status(body), 400) << body.substr(0, 40);
}

// w40, w41 and w42 are the tokens for a gap, w43 is what ends the middle.
TEST(Gap, ASuffixIsWhatComesBehind) {
  TinyModel model("gpt2");
  Json tokenizer = read_json(model.path / "tokenizer.json");
  Json& vocabulary = tokenizer["model"]["vocab"];
  const std::pair<const char*, int> names[] = {
      {"<|fim_prefix|>", 40}, {"<|fim_suffix|>", 41}, {"<|fim_middle|>", 42}, {"<|fim_pad|>", 43}};
  for (const auto& [name, id] : names) {
    vocabulary.erase("w" + std::to_string(id));
    vocabulary[name] = id;
    tokenizer["added_tokens"].push_back({{"id", id},
                                         {"content", name},
                                         {"special", true},
                                         {"single_word", false},
                                         {"lstrip", false},
                                         {"rstrip", false},
                                         {"normalized", false}});
  }
  write_file(model.path / "tokenizer.json", tokenizer.dump());
  ModelStore models({"tiny=" + model.path.string()}, {.engine = {.max_batch = 4, .page_size = 4}});
  Service service({}, models);
  const OrderedJson common = {{"temperature", 0}, {"max_tokens", 5}, {"stop", "w99"}};
  const auto complete = [&](OrderedJson body) {
    body.update(common);
    return ask(service, "/v1/completions", body);
  };
  const OrderedJson filled = complete({{"prompt", "w5 w6"}, {"suffix", "w7 w8 w9"}}).json();
  const OrderedJson asked = complete({{"prompt", {40, 5, 6, 41, 7, 8, 9, 42}}}).json();
  // Behind a token for a gap, as asked, a text begins; in the gap it goes on.
  EXPECT_EQ(filled["choices"][0]["text"], " " + asked["choices"][0]["text"].get<std::string>());
  EXPECT_EQ(filled["usage"]["prompt_tokens"], 8);
  EXPECT_EQ(complete({{"prompt", {5, 6}}, {"suffix", "w7 w8 w9"}}).json()["choices"], filled["choices"]);
  // Without a beginning, and without an end.
  EXPECT_EQ(complete({{"suffix", "w7"}}).json()["usage"]["prompt_tokens"], 4);
  EXPECT_EQ(complete({{"prompt", "w7"}, {"suffix", ""}}).json()["usage"]["prompt_tokens"], 4);
  // The token that ends a middle ends the answer.
  const Got ended = complete({{"prompt", "w5"}, {"suffix", "w6"}, {"logit_bias", {{"43", 100}}}});
  EXPECT_EQ(ended.json()["choices"][0]["text"], "") << ended.body;
  EXPECT_EQ(complete({{"prompt", "w5"}, {"suffix", "w6"}, {"echo", true}}).status, 400);
  EXPECT_EQ(complete({{"prompt", "w5"}, {"suffix", 6}}).status, 400);
}

TEST(ManyAsk, AllAreAnswered) {
  const TinyModel tiny("gpt2");
  ModelStore models({"tiny=" + tiny.path.string()}, {.engine = {.max_batch = 8, .page_size = 4}});
  Service service({}, models);
  std::vector<std::future<Got>> answers;
  for (int i = 0; i < 60; ++i)
    answers.push_back(
        ask_later(service, {.method = "POST",
                            .path = "/v1/completions",
                            .body = OrderedJson({{"prompt", "w5 w6"}, {"seed", i % 3}, {"max_tokens", 6}}).dump()}));
  std::vector<OrderedJson> choices;
  for (auto& answer : answers) choices.push_back(answer.get().json()["choices"]);
  for (size_t i = 3; i < choices.size(); ++i) EXPECT_EQ(choices[i], choices[i % 3]);
}

}  // namespace
}  // namespace qkv
