// Which handler answers what: a table of methods and paths.
#pragma once

#include "qkv/serve/http.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

// A request on its way to a handler.
struct Call {
  std::shared_ptr<const HttpRequest> request;
  std::shared_ptr<HttpReply> reply;
  std::string client;                         // whose turn it is in queues: its key or address
  std::map<std::string, std::string> values;  // of the path's {names}, percent escapes decoded
};

class Routes {
 public:
  // Runs on a thread that others wait for, and must not wait itself: what a model does goes to its engine or worker.
  // What it throws (ApiError, Error) becomes the answer.
  using Handler = std::function<void(const Call&)>;
  struct Route {
    std::string method;
    std::string path;  // "/conversations/{id}": a name in braces stands for one part
    Handler handler;
    bool open = false;          // needs no API key
    uint64_t longest_body = 0;  // bytes, where more than usual may come
  };

  Route& add(std::string method, std::string path, Handler handler) {
    return routes_.emplace_back(Route{std::move(method), std::move(path), std::move(handler)});
  }
  void add_open(std::string method, std::string path, Handler handler) {
    routes_.push_back({std::move(method), std::move(path), std::move(handler), true});
  }

  // null: nobody answers. `values` gets the path's parts. HEAD is answered by GET.
  const Route* find(std::string_view method, std::string_view path, std::map<std::string, std::string>& values) const;
  // Those of a path: "GET, POST".
  std::string methods(std::string_view path) const;
  const std::vector<Route>& all() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

}  // namespace qkv
