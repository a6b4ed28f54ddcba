// Everything of the API but completions: tasks, models, keys, routes.
#include "qkv/serve/access.h"
#include "qkv/serve/base64.h"
#include "qkv/serve/handlers.h"
#include "qkv/serve/static_files.h"
#include "tests/serve/asked.h"

#include <atomic>
#include <cstring>
#include <set>
#include <thread>

namespace qkv {
namespace {

struct Offered {
  explicit Offered(const std::string& name, const Json& changes = Json::object())
      : model(name, changes), models({"tiny=" + model.path.string()}, {}) {}
  TinyModel model;
  ModelStore models;
  Service service{{}, models};
};

TEST(Service, EmbeddingsAreTheEmbedders) {
  Offered offered("bert_masked_lm_untied");
  const Embedder embedder(offered.model.path);
  const std::vector<float> expected = embedder.embed("w5 w6 w7");
  const OrderedJson floats =
      ask(offered.service, "/v1/embeddings", {{"model", "tiny"}, {"input", {"w8", "w5 w6 w7"}}}).json();
  ASSERT_EQ(floats["data"].size(), 2U);
  EXPECT_EQ(floats["data"][1]["index"], 1);
  const auto got = floats["data"][1]["embedding"].get<std::vector<float>>();
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-5);
  const OrderedJson packed =
      ask(offered.service, "/v1/embeddings", {{"input", "w5 w6 w7"}, {"encoding_format", "base64"}, {"dimensions", 4}})
          .json();
  double norm = 0;
  for (size_t i = 0; i < 4; ++i) norm += static_cast<double>(expected[i]) * expected[i];
  std::string bytes(16, '\0');
  for (size_t i = 0; i < 4; ++i) {
    const auto x = static_cast<float>(expected[i] / std::sqrt(norm));
    std::memcpy(bytes.data() + 4 * i, &x, 4);
  }
  EXPECT_EQ(packed["data"][0]["embedding"].get<std::string>().substr(0, 6), base64(bytes).substr(0, 6));
  for (const OrderedJson& bad :
       {OrderedJson{{"input", OrderedJson::array()}}, OrderedJson{{"input", ""}}, OrderedJson{{"input", 5}},
        OrderedJson{{"input", {-1}}}, OrderedJson{{"input", "w5"}, {"dimensions", 0}}, OrderedJson::object()})
    EXPECT_EQ(ask(offered.service, "/v1/embeddings", bad).status, 400) << bad;
}

TEST(Service, Base64) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
}

TEST(Service, TasksAreTheTasks) {
  {
    Offered offered("bert_sequence_classification");
    const std::vector<Label> expected = Classifier(offered.model.path).classify("w5 w6");
    const OrderedJson got = ask(offered.service, "/v1/classify", {{"input", "w5 w6"}}).json();
    ASSERT_EQ(got["data"][0]["labels"].size(), expected.size());
    EXPECT_EQ(got["data"][0]["labels"][0]["label"], expected[0].name);
    EXPECT_NEAR(got["data"][0]["labels"][0]["score"].get<double>(), expected[0].score, 1e-6);
    // A head for one thing does not do another.
    EXPECT_EQ(ask(offered.service, "/v1/fill", {{"input", "w5 [MASK]"}}).status, 400);
    EXPECT_EQ(ask(offered.service, "/v1/completions", {{"prompt", "w5"}}).status, 400);
  }
  {
    Offered offered("bert_masked_lm_untied");
    const MaskFillings expected = MaskFiller(offered.model.path).fill("w5 [MASK] w6", 3);
    const OrderedJson got = ask(offered.service, "/v1/fill", {{"input", "w5 [MASK] w6"}, {"top_k", 3}}).json();
    EXPECT_EQ(got["data"][0]["fillings"][0][0]["token_str"], expected[0][0].text);
    EXPECT_EQ(got["data"][0]["fillings"][0].size(), 3U);
    EXPECT_EQ(ask(offered.service, "/v1/fill", {{"input", "no mask"}}).status, 400);
  }
  {
    Offered offered("bert_question_answering");
    const Answers expected = Answerer(offered.model.path, {}, {.top_k = 20}).answer("w5", "w6 w7 w8");
    const OrderedJson got =
        ask(offered.service, "/v1/answer", {{"question", "w5"}, {"context", "w6 w7 w8"}, {"top_k", 2}}).json();
    EXPECT_EQ(got["answers"].size(), 2U);
    EXPECT_EQ(got["answers"][0]["answer"], expected.spans[0].text);
  }
  {
    Offered offered("bert_token_classification");
    const std::vector<Entity> expected = Tagger(offered.model.path).tag("w5 w6");
    const OrderedJson got = ask(offered.service, "/v1/tag", {{"input", {"w7", "w5 w6"}}}).json();
    ASSERT_EQ(got["data"][1]["entities"].size(), expected.size());
    if (!expected.empty()) {
      EXPECT_EQ(got["data"][1]["entities"][0]["label"], expected[0].label);
    }
  }
}

TEST(Service, TokensAndModels) {
  Offered offered("gpt2");
  const OrderedJson tokens = ask(offered.service, "/tokenize", {{"content", "w5 w6"}, {"with_pieces", true}}).json();
  EXPECT_EQ(tokens["tokens"], OrderedJson({5, 6}));
  EXPECT_EQ(tokens["pieces"], OrderedJson({"w5", "w6"}));
  EXPECT_EQ(ask(offered.service, "/detokenize", {{"tokens", {5, 6}}}).json()["content"], "w5 w6");
  EXPECT_EQ(ask(offered.service, "/detokenize", {{"tokens", {1e9}}}).status, 400);
  EXPECT_EQ(get(offered.service, "/v1/models").json()["data"][0]["id"], "tiny");
  EXPECT_EQ(get(offered.service, "/v1/models/tiny").json()["object"], "model");
  EXPECT_EQ(get(offered.service, "/v1/models/other").json()["error"]["code"], "model_not_found");
  EXPECT_EQ(get(offered.service, "/health").json()["status"], "ok");
  ask(offered.service, "/v1/completions", {{"prompt", "w5"}, {"max_tokens", 3}});
  // The answer is out before the step that made it has ended.
  std::string metrics;
  for (int patience = 0;
       patience < 1000 && metrics.find("qkv_requests_running{model=\"tiny\"} 0\n") == std::string::npos; ++patience) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    metrics = get(offered.service, "/metrics").body;
  }
  EXPECT_NE(metrics.find("qkv_generated_tokens_total{model=\"tiny\"} 3\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("qkv_http_requests_total{path=\"/v1/completions\",status=\"200\"} 1\n"), std::string::npos);
}

TEST(Service, ModelsTellWhatTheyCanDo) {
  const auto tasks = [](const std::string& name) {
    Offered offered(name);
    return get(offered.service, "/v1/models").json()["data"][0];
  };
  EXPECT_EQ(tasks("gpt2")["tasks"], OrderedJson({"write", "embed"}));
  EXPECT_EQ(tasks("gpt2")["attention"], true);
  EXPECT_EQ(tasks("gpt2")["mask"], OrderedJson());
  EXPECT_EQ(tasks("bert_masked_lm_untied")["tasks"], OrderedJson({"fill", "embed"}));
  EXPECT_EQ(tasks("bert_masked_lm_untied")["mask"], "[MASK]");
  EXPECT_EQ(tasks("bert_question_answering")["tasks"], OrderedJson({"answer", "embed"}));
  EXPECT_EQ(tasks("bert_token_classification")["tasks"], OrderedJson({"tag", "embed"}));
  EXPECT_EQ(tasks("bert_sequence_classification")["tasks"], OrderedJson({"classify", "embed"}));
  EXPECT_EQ(tasks("mamba")["attention"], false);
}

TEST(Service, AttentionIsTheReaders) {
  Offered offered("gpt2");
  const std::vector<int32_t> ids = {5, 6, 7, 8};
  const auto expect_same = [](const OrderedJson& got, const std::vector<LayerAttention>& expected) {
    ASSERT_EQ(got["layers"].size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(got["layers"][i]["layer"], expected[i].layer);
      ASSERT_EQ(got["layers"][i]["heads"].size(), expected[i].heads.size());
      for (size_t h = 0; h < expected[i].heads.size(); ++h)
        for (size_t key = 0; key < expected[i].heads[h].size(); ++key)
          EXPECT_NEAR(got["layers"][i]["heads"][h][key].get<double>(), expected[i].heads[h][key], 1e-6);
    }
  };
  const AttentionReader reader(offered.model.path);
  const OrderedJson last = ask(offered.service, "/attention", {{"prompt", "w5 w6"}, {"continuation", {7, 8}}}).json();
  EXPECT_EQ(last["position"], 3);
  EXPECT_EQ(last["tokens"].size(), 4U);
  EXPECT_EQ(last["tokens"][0]["text"], "w5");
  EXPECT_EQ(last["tokens"][3]["text"], " w8");
  EXPECT_EQ(last["layer_count"], last["layers"].size());
  EXPECT_EQ(last["head_count"], last["layers"][0]["heads"].size());
  expect_same(last, reader.read(ids, 3));
  const OrderedJson second =
      ask(offered.service, "/attention", {{"tokens", ids}, {"position", 1}, {"layer", 1}}).json();
  EXPECT_EQ(second["tokens"].size(), 2U);
  expect_same(second, reader.read(ids, 1, 1));
  for (const OrderedJson& bad :
       {OrderedJson::object(), OrderedJson{{"prompt", "w5"}, {"tokens", {5}}}, OrderedJson{{"tokens", {-1}}},
        OrderedJson{{"tokens", OrderedJson::array()}}, OrderedJson{{"tokens", {5}}, {"position", 1}},
        OrderedJson{{"tokens", {5}}, {"layer", 99}}, OrderedJson{{"prompt", "w5"}, {"continuation", "w6"}},
        OrderedJson{{"tokens", std::vector<int>(5000, 5)}}, OrderedJson{{"messages", OrderedJson::array()}}})
    EXPECT_EQ(ask(offered.service, "/attention", bad).status, 400) << bad;
  Offered without("mamba");
  EXPECT_EQ(ask(without.service, "/attention", {{"tokens", {5}}}).status, 400);
}

TEST(Service, AttentionReadsTheModelThatWrites) {
  Offered offered("gpt2");
  const ServedModel& served = *offered.models.all()[0];
  const OrderedJson writing = {{"prompt", "w5 w6"}, {"temperature", 0}, {"max_tokens", 20}, {"ignore_eos", true}};
  const OrderedJson alone = ask(offered.service, "/v1/completions", writing).json();
  const OrderedJson looking = {{"tokens", {5, 6, 7, 8}}};
  const uint64_t bytes = served.bytes();
  const OrderedJson expected = ask(offered.service, "/attention", looking).json();
  EXPECT_EQ(served.bytes(), bytes) << "no second copy";
  // Both at once say what each says alone.
  for (int round = 0; round < 5; ++round) {
    HttpRequest request{.method = "POST", .path = "/v1/completions", .body = writing.dump()};
    std::future<Got> written = ask_later(offered.service, std::move(request));
    for (int i = 0; i < 3; ++i) EXPECT_EQ(ask(offered.service, "/attention", looking).json(), expected);
    EXPECT_EQ(written.get().json()["choices"], alone["choices"]);
  }
}

TEST(Service, TasksOfAModelShareItsWeights) {
  Offered offered("bert_masked_lm_untied");
  const ServedModel& served = *offered.models.all()[0];
  EXPECT_EQ(ask(offered.service, "/v1/fill", {{"input", "w5 [MASK]"}}).status, 200);
  const uint64_t bytes = served.bytes();
  EXPECT_GT(bytes, 0U);
  EXPECT_EQ(ask(offered.service, "/v1/embeddings", {{"input", "w5"}}).status, 200);
  EXPECT_EQ(ask(offered.service, "/attention", {{"prompt", "w5 w6"}}).status, 200);
  EXPECT_EQ(served.bytes(), bytes);
}

TEST(Service, ThePageIsThereWithoutAKey) {
  TinyModel model("gpt2");
  ModelStore models({"tiny=" + model.path.string()}, {});
  Service service({.api_keys = {"secret"}}, models);
  const Got page = get(service, "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_NE(page.body.find("<script type=\"module\" src=\"app.js\">"), std::string::npos);
  std::map<std::string, std::string> headers(page.headers.begin(), page.headers.end());
  EXPECT_NE(headers["Content-Security-Policy"].find("default-src 'self'"), std::string::npos);
  EXPECT_EQ(headers["Content-Security-Policy"].find("unsafe"), std::string::npos);
  EXPECT_EQ(get(service, "/app.js").status, 200);
  EXPECT_EQ(get(service, "/v1/models").status, 401);
}

TEST(Service, PathsAndMethods) {
  Offered offered("gpt2");
  EXPECT_EQ(get(offered.service, "/nothing").json()["error"]["code"], "unknown_url");
  const Got wrong = get(offered.service, "/v1/completions");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_NE(wrong.body.find("POST"), std::string::npos);
}

TEST(Service, TheOpenApiDocumentNamesEveryRoute) {
  Offered offered("gpt2");
  const fs::path folder = fs::temp_directory_path() / fmt::format("qkv-openapi-{}", ::getpid());
  add_conversations(offered.service.routes(), folder);
  const OrderedJson document = get(offered.service, "/openapi.json").json();
  std::set<std::string> told, there;
  for (const auto& [path, methods] : document["paths"].items())
    for (const auto& [method, description] : methods.items()) told.insert(method + " " + path);
  for (const Routes::Route& route : offered.service.routes().all()) {
    std::string method = route.method;
    std::transform(method.begin(), method.end(), method.begin(), ::tolower);
    if (route.path.starts_with("/v1") || route.path == "/tokenize" || route.path == "/detokenize" ||
        route.path == "/attention" || route.path == "/health" || route.path == "/metrics" ||
        route.path.starts_with("/conversations"))
      there.insert(method + " " + route.path);
  }
  EXPECT_EQ(told, there);
  fs::remove_all(folder);
}

TEST(Service, KeysAreAskedFor) {
  const TinyModel tiny("gpt2");
  ModelStore models({"tiny=" + tiny.path.string()}, {});
  Service service({.api_keys = {"first", "second"}}, models);
  const auto status = [&](const std::string& key) {
    return get(service, "/v1/models", {{"authorization", key}}).status;
  };
  EXPECT_EQ(get(service, "/v1/models").status, 401);
  EXPECT_EQ(get(service, "/v1/models").json()["error"]["code"], "invalid_api_key");
  EXPECT_EQ(status("Bearer firs"), 401);
  EXPECT_EQ(status("Bearer firstt"), 401);
  EXPECT_EQ(status("Bearer "), 401);
  EXPECT_EQ(status("first"), 401);
  EXPECT_EQ(status("Bearer first"), 200);
  EXPECT_EQ(status("Bearer second"), 200);
  EXPECT_EQ(get(service, "/nothing").status, 401);
  EXPECT_EQ(get(service, "/health").status, 200);
}

TEST(Service, PagesFromElsewhereAreKeptOut) {
  const TinyModel tiny("gpt2");
  ModelStore models({"tiny=" + tiny.path.string()}, {});
  Service closed({.hosts = {"localhost", "[::1]"}}, models), open({.origins = {"http://page.example"}}, models);
  const auto status = [](Service& service, const std::string& host, const std::string& origin = "") {
    HttpReply::Headers headers = {{"host", host}};
    if (!origin.empty()) headers.emplace_back("origin", origin);
    return get(service, "/health", headers).status;
  };
  EXPECT_EQ(status(closed, "localhost:8080"), 200);
  EXPECT_EQ(status(closed, "[::1]:8080"), 200);
  EXPECT_EQ(status(closed, "evil.example"), 403);
  EXPECT_EQ(status(closed, "localhost:8080", "http://localhost:8080"), 200);
  EXPECT_EQ(status(closed, "localhost:8080", "http://page.example"), 403);
  EXPECT_EQ(status(closed, "localhost:8080", "null"), 403);
  EXPECT_EQ(status(open, "anything"), 200);
  EXPECT_EQ(status(open, "anything", "http://other.example"), 403);
  const Got allowed = get(open, "/health", {{"host", "x"}, {"origin", "http://page.example"}});
  EXPECT_EQ(allowed.status, 200);
  EXPECT_NE(std::find(allowed.headers.begin(), allowed.headers.end(),
                      std::pair<std::string, std::string>("Access-Control-Allow-Origin", "http://page.example")),
            allowed.headers.end());
  EXPECT_EQ(
      ask_later(open, {.method = "OPTIONS", .path = "/v1/completions", .headers = {{"origin", "http://page.example"}}})
          .get()
          .status,
      204);
}

TEST(Service, PagesThatAreAllowedMaySendTheHeadersTheyAskFor) {
  const TinyModel tiny("gpt2");
  ModelStore models({"tiny=" + tiny.path.string()}, {});
  Service service({.origins = {"http://page.example"}}, models);
  const auto allowed = [&](const std::string& asked) {
    HttpReply::Headers headers = {{"origin", "http://page.example"}};
    if (!asked.empty()) headers.emplace_back("access-control-request-headers", asked);
    const Got got = ask_later(service, {.method = "OPTIONS", .path = "/v1/chat/completions", .headers = headers}).get();
    const std::map<std::string, std::string> answered(got.headers.begin(), got.headers.end());
    return answered.at("Access-Control-Allow-Headers");
  };
  EXPECT_EQ(allowed("authorization,content-type, x-stainless-os"), "authorization, content-type, x-stainless-os");
  EXPECT_EQ(allowed("x-a,,x b,x-c\r\nEvil: 1,x-d"), "x-a, x-d");
  EXPECT_EQ(allowed(""), "Authorization, Content-Type");
}

TEST(Service, NamesInPathsMayBeEscaped) {
  const TinyModel tiny("gpt2");
  ModelStore models({"my/org=" + tiny.path.string()}, {});
  Service service({}, models);
  EXPECT_EQ(get(service, "/v1/models/my%2Forg").json()["id"], "my/org");
  EXPECT_EQ(get(service, "/v1/models/my%2forg").json()["id"], "my/org");
  EXPECT_EQ(get(service, "/v1/models/my%2").status, 404);
}

TEST(Service, MistakesAreToldOfTheFieldsThatHaveThem) {
  const auto error = [](Service& service, const char* path, const OrderedJson& body) {
    const Got got = ask(service, path, body);
    EXPECT_EQ(got.status, 400) << got.body;
    EXPECT_EQ(got.body.find("/tmp"), std::string::npos) << got.body;
    return got.json()["error"]["param"];
  };
  std::string words = "w5";
  for (int i = 0; i < 200; ++i) words += " w5";
  Offered writes("gpt2");
  for (const char* path : {"/v1/classify", "/v1/tag", "/v1/fill", "/v1/translate"})
    EXPECT_EQ(error(writes.service, path, {{"input", "w5"}}), "model") << path;
  EXPECT_EQ(error(writes.service, "/v1/answer", {{"question", "w5"}, {"context", "w6"}}), "model");
  Offered fills("bert_masked_lm_untied");
  EXPECT_EQ(error(fills.service, "/v1/fill", {{"input", ""}}), "input");
  EXPECT_EQ(error(fills.service, "/v1/fill", {{"input", "w5"}}), "input");
  EXPECT_EQ(error(fills.service, "/v1/fill", {{"input", words}}), "input");
  EXPECT_EQ(error(fills.service, "/v1/fill", {{"input", "[MASK]"}, {"targets", "w5 w6"}}), "targets");
  Offered tags("bert_token_classification");
  EXPECT_EQ(error(tags.service, "/v1/tag", {{"input", ""}}), "input");
  Offered translates("t5_v11");
  EXPECT_EQ(error(translates.service, "/v1/translate", {{"input", ""}}), "input");
}

TEST(Service, LongBodiesKeepNobodyWaiting) {
  Offered offered("gpt2");
  std::string words;
  while (words.size() < 6000000) words += "w5 w6 w7 w8 ";
  std::vector<std::future<Got>> long_ones;
  const std::string body = OrderedJson{{"content", words}}.dump();
  for (int i = 0; i < 3; ++i)
    long_ones.push_back(ask_later(offered.service, {.method = "POST", .path = "/tokenize", .body = body}));
  EXPECT_EQ(ask(offered.service, "/tokenize", {{"content", "w5"}}).json()["count"], 1);
  EXPECT_NE(long_ones.back().wait_for(std::chrono::seconds(0)), std::future_status::ready);
  for (std::future<Got>& answer : long_ones) EXPECT_EQ(answer.get().status, 200);
  // What can never fit is not read to its end.
  const Got got = ask(offered.service, "/v1/completions", {{"prompt", words}});
  EXPECT_EQ(got.json()["error"]["code"], "context_length_exceeded");
  EXPECT_NE(got.body.find("your prompt has more than"), std::string::npos) << got.body;
}

TEST(Service, TheLogTellsNoTexts) {
  const TinyModel tiny("gpt2");
  ModelStore models({"tiny=" + tiny.path.string()}, {});
  std::mutex mutex;
  std::vector<std::string> lines;
  Service service({.log =
                       [&](const std::string& line) {
                         const std::lock_guard lock(mutex);
                         lines.push_back(line);
                       }},
                  models);
  ask(service, "/tokenize", {{"content", "w5 secret"}});
  // The answer is out before it is noted.
  const auto noted = [&] {
    const std::lock_guard lock(mutex);
    return !lines.empty();
  };
  for (int patience = 0; patience < 1000 && !noted(); ++patience)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const std::lock_guard lock(mutex);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].find("secret"), std::string::npos);
  const OrderedJson line = OrderedJson::parse(lines[0]);
  EXPECT_EQ(line["path"], "/tokenize");
  EXPECT_EQ(line["status"], 200);
}

TEST(Service, TheLogTellsTextsWhereItIsAsked) {
  const TinyModel tiny("gpt2");
  ModelStore models({"tiny=" + tiny.path.string()}, {});
  std::mutex mutex;
  std::vector<std::string> lines;
  Service service({.api_keys = {"key"},
                   .log =
                       [&](const std::string& line) {
                         const std::lock_guard lock(mutex);
                         lines.push_back(line);
                       },
                   .log_bodies = true},
                  models);
  const auto logged = [&](const std::string& body, const std::string& key) {
    ask_later(service,
              {.method = "POST", .path = "/tokenize", .headers = {{"authorization", "Bearer " + key}}, .body = body})
        .get();
    for (int patience = 0; patience < 1000; ++patience) {
      {
        const std::lock_guard lock(mutex);
        if (!lines.empty()) {
          const std::string line = lines.back();
          lines.clear();
          for (const char c : line) EXPECT_TRUE(c >= ' ' && c <= '~') << line;
          return OrderedJson::parse(line);
        }
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return OrderedJson();
  };
  EXPECT_EQ(logged(R"({"content": "w5\n"})", "key")["body"], R"({"content": "w5\n"})");
  EXPECT_EQ(logged("\x1B[2J\xC2\x9B \xFF", "key")["body"], "\x1B[2J\xC2\x9B \xEF\xBF\xBD");
  EXPECT_FALSE(logged("secret", "wrong").contains("body"));
  // Long ones are cut, between characters.
  std::string umlauts = "x";
  for (int i = 0; i < 3000; ++i) umlauts += "\xC3\xA4";
  EXPECT_EQ(logged(umlauts, "key")["body"].get<std::string>(), umlauts.substr(0, 1999));
}

TEST(ModelStore, TheLongestUnusedMakesRoom) {
  const TinyModel a("gpt2"), b("llama"), c("bert_masked_lm_untied");
  const std::vector<std::string> paths = {"a=" + a.path.string(), "b=" + b.path.string(), "c=" + c.path.string()};
  const ModelOptions options{.engine = {.context = 16, .max_batch = 1}};
  ModelStore roomy(paths, options);
  Service service({}, roomy);
  uint64_t most = 0;
  for (const char* name : {"a", "b"}) {
    EXPECT_EQ(ask(service, "/v1/completions", {{"model", name}, {"prompt", "w5"}, {"max_tokens", 2}}).status, 200);
    most = std::max(most, roomy.lease(name)->model().bytes());
  }
  // Room for one at a time.
  ModelStore tight(paths, options, most);
  Service one({}, tight);
  const auto loaded = [&](const char* name) { return tight.lease(name)->model().loaded(); };
  for (int round = 0; round < 3; ++round)
    for (const char* name : {"a", "b"}) {
      const Got got = ask(one, "/v1/completions", {{"model", name}, {"prompt", "w5"}, {"max_tokens", 2}});
      EXPECT_EQ(got.status, 200) << got.body;
      EXPECT_TRUE(loaded(name));
      EXPECT_FALSE(loaded(name[0] == 'a' ? "b" : "a"));
    }
  ModelStore none(paths, options, 1000);
  Service refuses({}, none);
  const Got got = ask(refuses, "/v1/completions", {{"model", "a"}, {"prompt", "w5"}});
  EXPECT_EQ(got.status, 500);
  EXPECT_NE(got.body.find("more than there are"), std::string::npos);
}

// Two models of which one fits alone, and what it takes.
struct TwoModels {
  TinyModel a{"gpt2"}, b{"llama"};
  std::vector<std::string> paths = {"a=" + a.path.string(), "b=" + b.path.string()};
  ModelOptions options{.engine = {.context = 64, .max_batch = 2}};
  uint64_t room() const {
    ModelStore roomy(paths, options);
    Service service({}, roomy);
    uint64_t most = 0;
    for (const char* name : {"a", "b"}) {
      EXPECT_EQ(ask(service, "/v1/completions", {{"model", name}, {"prompt", "w5"}, {"max_tokens", 2}}).status, 200);
      most = std::max(most, roomy.find(name).bytes());
    }
    return most;
  }
};

HttpRequest asking(const std::string& path, const OrderedJson& body) {
  return {.method = "POST", .path = path, .body = body.dump()};
}

TEST(ModelStore, ModelsThatDoNotFitTogetherTakeTurns) {
  const TwoModels two;
  ModelStore store(two.paths, two.options, two.room(), std::chrono::seconds(10));
  Service service({}, store);
  std::vector<std::future<Got>> answers;
  for (int i = 0; i < 40; ++i) {
    const std::string name = i % 2 == 0 ? "a" : "b";
    answers.push_back(ask_later(
        service, i % 5 == 4 ? asking("/v1/embeddings", {{"model", name}, {"input", "w5"}})
                            : asking("/v1/completions",
                                     {{"model", name}, {"prompt", "w5"}, {"max_tokens", 20}, {"ignore_eos", true}})));
  }
  for (std::future<Got>& answer : answers) {
    const Got got = answer.get();
    EXPECT_EQ(got.status, 200) << got.body;
  }
}

TEST(ModelStore, AModelThatIsAskedForAllTheTimeDoesNotKeepTheOtherWaiting) {
  const TwoModels two;
  ModelStore store(two.paths, two.options, two.room(), std::chrono::seconds(10));
  Service service({}, store);
  std::atomic<bool> enough = false;
  std::vector<std::thread> eager;
  for (int i = 0; i < 2; ++i)
    eager.emplace_back([&] {
      while (!enough) {
        const Got got = ask(service, "/v1/completions",
                            {{"model", "a"}, {"prompt", "w5"}, {"max_tokens", 30}, {"ignore_eos", true}});
        EXPECT_EQ(got.status, 200) << got.body;
      }
    });
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(ask(service, "/v1/completions", {{"model", "b"}, {"prompt", "w5"}, {"max_tokens", 3}}).status, 200);
  enough = true;
  for (std::thread& thread : eager) thread.join();
}

TEST(ModelStore, NobodyWaitsForEver) {
  const TwoModels two;
  ModelStore store(two.paths, two.options, two.room(), std::chrono::milliseconds(50));
  Service service({}, store);
  std::promise<void> entered;
  const std::shared_ptr<Lease> lease = store.lease("a");
  lease->with_engine([&](Engine&) { entered.set_value(); }, {});
  entered.get_future().wait();
  const Got got = ask(service, "/v1/completions", {{"model", "b"}, {"prompt", "w5"}});
  EXPECT_EQ(got.status, 503);
  EXPECT_EQ(got.json()["error"]["code"], "model_waits");
  const std::map<std::string, std::string> headers(got.headers.begin(), got.headers.end());
  EXPECT_TRUE(headers.contains("Retry-After"));
}

TEST(ModelStore, WhatIsWrongWithFilesIsTheServersAffair) {
  for (const char* kind : {"gpt2", "bert_masked_lm_untied"}) {
    const TinyModel tiny(kind);
    std::mutex mutex;
    std::string told;
    ModelOptions options;
    options.on_failure = [&](const ServedModel& model, const Error& error) {
      const std::lock_guard lock(mutex);
      told = model.name() + ": " + error.what();
    };
    ModelStore models({"tiny=" + tiny.path.string()}, options);
    write_file(tiny.path / "model.safetensors", "damaged");
    Service service({}, models);
    for (const char* path : {"/v1/completions", "/v1/embeddings", "/v1/fill", "/attention"}) {
      if (kind == std::string("bert_masked_lm_untied") && path == std::string("/v1/completions")) continue;
      const bool input = path == std::string("/v1/embeddings") || path == std::string("/v1/fill");
      const Got got = ask(service, path, {{input ? "input" : "prompt", "w5 w6"}});
      EXPECT_EQ(got.status, 500) << path << got.body;
      EXPECT_EQ(got.body.find(tiny.path.string()), std::string::npos) << got.body;
      EXPECT_TRUE(got.json()["error"]["param"].is_null()) << got.body;
      EXPECT_EQ(got.json()["error"]["code"], "model_not_loaded");
    }
    const std::lock_guard lock(mutex);
    EXPECT_TRUE(told.starts_with("tiny: ")) << told;
    EXPECT_NE(told.find("model.safetensors"), std::string::npos) << told;
    EXPECT_THROW(models.find("").load(), Error);
  }
}

TEST(ModelStore, AContextThatAModelDoesNotHaveIsSaidOfBoth) {
  const TinyModel tiny("gpt2");
  try {
    ModelStore({"small=" + tiny.path.string()}, {.engine = {.context = 100000}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("small"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("--context"), std::string::npos) << error.what();
  }
}

TEST(ModelStore, NamesAreUnique) {
  const TinyModel tiny("gpt2");
  const std::string path = tiny.path.string();
  EXPECT_THROW(ModelStore({path, path}, {}), Error);
  EXPECT_NO_THROW(ModelStore({path, "other=" + path}, {}));
  EXPECT_THROW(ModelStore({"/nowhere"}, {}), Error);
}

}  // namespace
}  // namespace qkv
