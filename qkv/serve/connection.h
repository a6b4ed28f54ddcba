// One client of the HTTP server: reads its requests one after the other, and writes the replies.
#pragma once

#include "qkv/serve/http_server.h"
#include "qkv/serve/tls.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace qkv {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = boost::asio::ip::tcp::socket;

  // What the connections of a server share. It lives as long as anybody may still write a reply.
  struct Server {
    boost::asio::io_context io;
    HttpOptions options;
    std::unique_ptr<boost::asio::ssl::context> tls;  // none: in the clear
    HttpHandler handler;
    std::atomic<bool> draining{false};
    std::atomic<bool> ended{false};                                  // nobody runs `io` any more
    std::function<void(const std::shared_ptr<Connection>&)> closed;  // called once for each
  };

  // The socket's executor must be a strand: all that a connection does runs there, one thing at a time.
  Connection(std::shared_ptr<Server> server, Socket socket);

  void start();
  // No further request is read.
  void wind_down();
  void abort();

 private:
  class Reply;
  using ErrorCode = boost::system::error_code;

  template <typename Work>
  void on_strand(Work&& work) {
    if (!server_->ended) boost::asio::post(stream_.get_executor(), std::forward<Work>(work));
  }
  void expire_after(std::chrono::seconds time);
  void read_head();
  void begin_head();
  void head_came(ErrorCode error);
  bool body_is_too_large();
  HttpRequest head_of_request() const;
  void read_body();
  void handle();
  void refuse(ErrorCode error);
  std::string head(int status, const std::string& content_type, const HttpReply::Headers& headers, int64_t length);
  void enqueue(std::string text);
  void write_next();
  void written(ErrorCode error, size_t count);
  void finish();
  void next_request();
  void go_on();
  void discard(size_t so_far);
  void watch();
  void watched(ErrorCode error);
  void close();

  std::shared_ptr<Server> server_;
  ClientStream stream_;
  boost::asio::steady_timer deadline_;
  boost::beast::flat_buffer buffer_;
  std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
  std::string peer_;
  uint64_t longest_body_ = 0;
  std::deque<std::string> queue_;
  size_t sent_ = 0;    // of the queue's front
  size_t unsent_ = 0;  // bytes in the queue
  std::vector<char> waste_;
  std::function<void()> abandoned_;
  uint64_t serial_ = 0;    // of the request that is being answered
  bool bodyless_ = false;  // the answer to HEAD
  bool keep_alive_ = true, chunks_ = true, closing_ = false, closed_ = false, refused_ = false;
  bool replying_ = false, finished_ = false, streaming_ = false, watching_ = false, resume_ = false;
};

}  // namespace qkv
