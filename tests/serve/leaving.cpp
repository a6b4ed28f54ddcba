// Clients that leave at random, through sockets, service and engine: what they had is free again, and others notice
// nothing.
#include "qkv/serve/http_server.h"
#include "tests/serve/asked.h"
#include "tests/serve/http_client.h"

#include <future>
#include <mutex>
#include <thread>

namespace qkv {
namespace {

std::string completion_of(uint16_t port, bool stream) {
  const OrderedJson body = {
      {"prompt", "w5 w6"}, {"temperature", 0}, {"max_tokens", 20}, {"ignore_eos", true}, {"stream", stream}};
  HttpClient client(port);
  client.post("/v1/completions", body.dump());
  std::string text;
  const std::string answer = client.answer().body;
  if (!stream) return OrderedJson::parse(answer)["choices"][0]["text"];
  for (const OrderedJson& event : Got{.body = answer}.events()) text += event["choices"][0]["text"].get<std::string>();
  return text;
}

// Four kinds: half a request, a whole one unread, a part of the answer, all of it.
void ask_and_leave(uint16_t port, Random& random) {
  HttpClient client(port);
  const std::string body = R"({"prompt": "w5 w6 w7", "max_tokens": 20, "stream": true, "ignore_eos": true})";
  const std::string whole = fmt::format(
      "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
  const auto kind = static_cast<int>(random.uniform() * 4);
  std::string some;
  client.send(kind == 0 ? whole.substr(0, static_cast<size_t>(random.uniform() * static_cast<double>(whole.size())))
                        : whole);
  if (kind == 2) client.read(static_cast<size_t>(1 + random.uniform() * 2000), some);
  if (kind == 3) {
    EXPECT_EQ(client.answer().status, 200);
  }
}

TEST(Leaving, FreesEverything) {
  const TinyModel tiny("gpt2");
  ModelStore models({"tiny=" + tiny.path.string()}, {.engine = {.max_batch = 4, .page_size = 4}});
  Service service({}, models);
  HttpServer server({.port = 0, .threads = 2}, service.handler());
  const std::string alone = completion_of(server.port(), false);
  EXPECT_FALSE(alone.empty());
  std::vector<std::thread> clients;
  for (uint64_t c = 0; c < 4; ++c)
    clients.emplace_back([&, c] {
      Random random{RandomKey{c}};
      for (int i = 0; i < 25; ++i) ask_and_leave(server.port(), random);
    });
  for (int i = 0; i < 5; ++i) EXPECT_EQ(completion_of(server.port(), i % 2 == 0), alone);
  for (std::thread& client : clients) client.join();
  EngineStats stats;
  for (int patience = 0; patience < 2000; ++patience) {
    stats = *models.all()[0]->engine_stats();
    if (stats.running + stats.waiting == 0) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(stats.running + stats.waiting, 0);
  EXPECT_EQ(stats.pages_held, 0);
  EXPECT_GT(stats.cancelled, 0);
  EXPECT_EQ(completion_of(server.port(), true), alone);
  server.drain(std::chrono::seconds(20));
  EXPECT_EQ(server.connections(), 0);
}

// A reply whose client leaves when the test says so.
class LeavingReply : public HttpReply {
 public:
  void send(int, const std::string&, std::string, const Headers&) override { ADD_FAILURE() << "nobody reads it"; }
  void begin(int, const std::string&, const Headers&) override {}
  void write(std::string) override {}
  void end() override {}
  void on_abandoned(std::function<void()> callback) override {
    const std::lock_guard lock(mutex_);
    callback_ = std::move(callback);
    ++listeners_;
  }
  // Of all who have asked to be told.
  int listeners() {
    const std::lock_guard lock(mutex_);
    return listeners_;
  }
  void leave() {
    const std::lock_guard lock(mutex_);
    callback_();
  }

 private:
  std::mutex mutex_;
  std::function<void()> callback_;
  int listeners_ = 0;
};

TEST(Leaving, EndsAReadingOfAttention) {
  const TinyModel tiny("gpt2");
  ModelStore models({"tiny=" + tiny.path.string()}, {});
  Service service({}, models);
  const OrderedJson body = {{"tokens", {5, 6, 7, 8}}};
  EXPECT_EQ(ask(service, "/attention", body).status, 200);  // the engine is there
  // The engine is busy with something else until the client has left.
  std::promise<void> gone;
  models.lease("")->with_engine(
      [&](Engine& engine) {
        engine.between_steps([until = gone.get_future().share()](Model&, int64_t) {
          until.wait();
          return false;
        });
      },
      {});
  const auto reply = std::make_shared<LeavingReply>();
  HttpRequest request{.method = "POST", .path = "/attention", .body = body.dump(), .peer = "test"};
  service.handler()(std::make_shared<const HttpRequest>(std::move(request)), reply);
  // Those who read its body, then those who read attention.
  while (reply->listeners() < 2 || models.all()[0]->waiting_tasks() > 0) std::this_thread::yield();
  reply->leave();
  gone.set_value();
  EXPECT_EQ(ask(service, "/attention", body).status, 200);
}

TEST(Leaving, NothingMoreIsReadOfAttention) {
  for (const char* name : {"gpt2", "bert_masked_lm_untied"}) {
    const TinyModel tiny(name);
    ModelStore models({"tiny=" + tiny.path.string()}, {});
    std::atomic<bool> left = false;
    EXPECT_FALSE(models.all()[0]->attention({5, 6, 7}, 2, {}, left).empty()) << name;
    left = true;
    EXPECT_TRUE(models.all()[0]->attention({5, 6, 7}, 2, {}, left).empty()) << name;
  }
}

}  // namespace
}  // namespace qkv
