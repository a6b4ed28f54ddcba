#include "qkv/serve/service.h"

#include "qkv/core/clock.h"
#include "qkv/serve/access.h"
#include "qkv/serve/answers.h"
#include "qkv/serve/api_error.h"
#include "qkv/serve/handlers.h"
#include "qkv/serve/static_files.h"

#include <fmt/chrono.h>

#include <atomic>

namespace qkv {
namespace {

constexpr int client_left = 499;      // as nginx has it
constexpr size_t most_logged = 2000;  // bytes of a body

// What is known of a request when its answer has ended.
struct Note {
  std::string method, path, peer, route;
  Clock::time_point start = Clock::now();
  int status = client_left;
  uint64_t bytes = 0;
  std::string body;  // the beginning of what was asked, where the log is to have it
};

// Passes everything on, and takes notes. The last owner's leaving is the answer's end.
class NotedReply : public HttpReply {
 public:
  NotedReply(std::shared_ptr<HttpReply> reply, Note note, Headers headers, std::function<void(const Note&)> done)
      : reply_(std::move(reply)), note_(std::move(note)), headers_(std::move(headers)), done_(std::move(done)) {}
  ~NotedReply() override { done_(note_); }

  void send(int status, const std::string& type, std::string body, const Headers& headers) override {
    note_.status = status;
    note_.bytes = body.size();
    reply_->send(status, type, std::move(body), with_own(headers));
  }
  void begin(int status, const std::string& type, const Headers& headers) override {
    begun_ = status;
    reply_->begin(status, type, with_own(headers));
  }
  void write(std::string piece) override {
    note_.bytes += piece.size();
    reply_->write(std::move(piece));
  }
  void end() override {
    note_.status = begun_;
    reply_->end();
  }
  void on_abandoned(std::function<void()> callback) override { reply_->on_abandoned(std::move(callback)); }

 private:
  Headers with_own(Headers headers) const {
    headers.insert(headers.end(), headers_.begin(), headers_.end());
    return headers;
  }
  std::shared_ptr<HttpReply> reply_;
  Note note_;
  Headers headers_;
  std::function<void(const Note&)> done_;
  int begun_ = client_left;
};

std::string log_line(const Note& note) {
  const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const auto ms = now.time_since_epoch().count() % 1000;
  const std::string time =
      fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(now)), ms);
  Json line = {{"time", time},
               {"client", note.peer},
               {"method", note.method},
               {"path", note.path},
               {"status", note.status},
               {"bytes", note.bytes},
               {"seconds", std::round(seconds_since(note.start) * 1e6) / 1e6}};
  // What strangers send is not to fill the log.
  if (!note.body.empty() && note.status != 401 && note.status != 403) line["body"] = note.body;
  // In ASCII: what a client sends must not move a terminal's cursor.
  return line.dump(-1, ' ', true, Json::error_handler_t::replace);
}

// As much of a text as a line may have, cut between characters.
std::string beginning_of(const std::string& text) {
  size_t end = std::min(text.size(), most_logged);
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace

Service::Service(const ServiceOptions& options, ModelStore& models) : options_(options) {
  add_models(routes_, models);
  add_completions(routes_, models);
  add_chat(routes_, models);
  add_embeddings(routes_, models);
  add_tasks(routes_, models);
  add_tokens(routes_, models);
  add_attention(routes_, models);
  add_status(models);
  add_static_files(routes_);
}

void Service::add_status(ModelStore& models) {
  routes_.add_open("GET", "/health", [](const Call& call) { send_json(*call.reply, {{"status", "ok"}}); });
  routes_.add("GET", "/metrics", [&models, metrics = metrics_](const Call& call) {
    call.reply->send(200, "text/plain; version=0.0.4", metrics->text() + model_metrics(models), {});
  });
}

HttpHandler Service::handler() {
  return [this](std::shared_ptr<const HttpRequest> request, std::shared_ptr<HttpReply> reply) {
    answer({std::move(request), std::move(reply), "", {}});
  };
}

// What carries nothing is answered at once; the rest where reading it keeps nobody waiting.
void Service::handle(const Routes::Route& route, Call call) {
  if (call.request->body.empty()) return route.handler(call);
  auto left = std::make_shared<std::atomic<bool>>(false);
  call.reply->on_abandoned([left] { *left = true; });
  const std::string client = call.client;
  const size_t bytes = call.request->body.size();
  const bool queued = pool_.run(client, bytes, [&route, call = std::move(call), left] {
    if (!*left) answer_errors(*call.reply, [&] { route.handler(call); });
  });
  if (!queued) throw overloaded();
}

uint64_t Service::longer_body(const HttpRequest& head) const {
  std::map<std::string, std::string> values;
  const Routes::Route* route = routes_.find(head.method, head.path, values);
  if (route == nullptr || route->longest_body == 0) return 0;
  try {
    check_host(head, options_.hosts);
    is_cross_origin(head, options_.origins);
    if (!options_.api_keys.empty()) check_key(head, options_.api_keys);
  } catch (const ApiError&) {
    return 0;
  }
  return route->longest_body;
}

void Service::answer(Call call) {
  const HttpRequest& request = *call.request;
  const Routes::Route* route = routes_.find(request.method, request.path, call.values);
  Note note{.method = request.method,
            .path = request.path.substr(0, 200),
            .peer = request.peer,
            .route = route == nullptr ? "other" : route->path,
            .body = options_.log_bodies ? beginning_of(request.body) : ""};
  HttpReply::Headers headers = {{"X-Content-Type-Options", "nosniff"}};
  std::exception_ptr refusal;
  bool cross_origin = false;
  try {
    check_host(request, options_.hosts);
    cross_origin = is_cross_origin(request, options_.origins);
    if (cross_origin) {
      headers.emplace_back("Access-Control-Allow-Origin", request.header("origin"));
      headers.emplace_back("Vary", "Origin");
    }
  } catch (const ApiError&) {
    refusal = std::current_exception();
  }
  call.reply = std::make_shared<NotedReply>(std::move(call.reply), std::move(note), std::move(headers),
                                            [metrics = metrics_, log = options_.log](const Note& n) {
                                              metrics->answered(n.route, n.status, seconds_since(n.start));
                                              if (log) log(log_line(n));
                                            });
  const std::shared_ptr<HttpReply> reply = call.reply;
  answer_errors(*reply, [&] {
    if (refusal) std::rethrow_exception(refusal);
    if (request.method == "OPTIONS" && cross_origin)
      return call.reply->send(204, "", "",
                              {{"Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE"},
                               {"Access-Control-Allow-Headers", allowed_headers(request)},
                               {"Access-Control-Max-Age", "600"}});
    const std::string methods = route == nullptr ? routes_.methods(request.path) : "";
    // Who has no key does not learn what there is.
    if ((route == nullptr || !route->open) && !options_.api_keys.empty())
      call.client = fmt::format("key {}", check_key(request, options_.api_keys));
    else
      call.client = request.peer;
    if (route != nullptr) return handle(*route, std::move(call));
    if (methods.empty())
      throw ApiError(404, fmt::format("There is nothing at {} {}.", request.method, request.path.substr(0, 200)), "",
                     "unknown_url");
    throw ApiError(405, fmt::format("{} is answered for: {}.", request.path.substr(0, 200), methods), "",
                   "method_not_allowed");
  });
}

}  // namespace qkv
