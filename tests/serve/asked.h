// A service asked without a network in between.
#pragma once

#include "qkv/serve/fields.h"
#include "qkv/serve/service.h"
#include "tests/tasks/tiny_model.h"

#include <future>
#include <mutex>

namespace qkv {

struct Got {
  int status = 0;
  std::string body;
  HttpReply::Headers headers;
  OrderedJson json() const { return OrderedJson::parse(body); }
  // A stream's events, "[DONE]" left out.
  std::vector<OrderedJson> events() const {
    std::vector<OrderedJson> all;
    for (size_t at = 0, end = 0; (end = body.find("\n\n", at)) != std::string::npos; at = end + 2) {
      const std::string line = body.substr(at, end - at);
      EXPECT_TRUE(line.starts_with("data: ")) << line;
      if (line != "data: [DONE]") all.push_back(OrderedJson::parse(line.substr(6)));
    }
    return all;
  }
};

class HeldReply : public HttpReply {
 public:
  explicit HeldReply(std::promise<Got> promise) : promise_(std::move(promise)) {}
  void send(int status, const std::string&, std::string body, const Headers& headers) override {
    promise_.set_value({status, std::move(body), headers});
  }
  void begin(int status, const std::string&, const Headers& headers) override {
    got_.status = status;
    got_.headers = headers;
  }
  void write(std::string piece) override { got_.body += piece; }
  void end() override { promise_.set_value(got_); }
  void on_abandoned(std::function<void()>) override {}

 private:
  std::promise<Got> promise_;
  Got got_;
};

inline std::future<Got> ask_later(Service& service, HttpRequest request) {
  std::promise<Got> promise;
  std::future<Got> answer = promise.get_future();
  request.peer = "test";
  service.handler()(std::make_shared<const HttpRequest>(std::move(request)),
                    std::make_shared<HeldReply>(std::move(promise)));
  return answer;
}

inline Got ask(Service& service, const std::string& path, const OrderedJson& body) {
  return ask_later(service, {.method = "POST", .path = path, .body = body.dump()}).get();
}

inline Got get(Service& service, const std::string& path, const HttpReply::Headers& headers = {}) {
  return ask_later(service, {.method = "GET", .path = path, .headers = headers}).get();
}

}  // namespace qkv
