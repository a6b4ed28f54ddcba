// An HTTP/1.1 server on Boost.Asio and Beast: keep-alive, bounded heads and bodies, deadlines for everything a client
// may delay, and a graceful end.
#pragma once

#include "qkv/serve/http.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace qkv {

struct HttpOptions {
  std::string host = "127.0.0.1";  // a name: all its addresses
  uint16_t port = 8080;            // 0: any free one
  int threads = 2;
  std::string tls_certificate, tls_key;  // PEM files; both empty: no TLS
  uint64_t max_head = 32 << 10;
  uint64_t max_body = 16 << 20;
  // Of a request whose head is there, where more than max_body may follow.
  std::function<uint64_t(const HttpRequest& head)> longer_body;
  size_t max_unsent = 8 << 20;  // of a reply that a client does not read
  int max_connections = 4096;
  std::chrono::seconds idle{120};    // a connection may wait for its next request to begin,
  std::chrono::seconds receive{30};  // a request that has begun for its end,
  std::chrono::seconds send{30};     // and a reply for its client to take any of it
};

class HttpServer {
 public:
  // Listens at once; throws Error for an address that is not there or in use, and for files that TLS cannot use.
  HttpServer(const HttpOptions& options, HttpHandler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const;
  // Accepts no more connections, closes those that wait, and returns when the replies under way are written, or the
  // time is over.
  void drain(std::chrono::seconds longest);
  int64_t connections() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qkv
