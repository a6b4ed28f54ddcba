#include "qkv/serve/connection.h"

#include <boost/asio/write.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/read.hpp>

#include <algorithm>
#include <limits>

namespace qkv {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;

// What is still read of a request that was refused, so that the client sees the refusal.
constexpr size_t most_discarded = size_t{256} << 20;
// A slow client must take so much within its time.
constexpr size_t most_written = size_t{256} << 10;
// What is read at once where nothing is known of what will come,
constexpr size_t usual_read = 4096;
// and of a client's next requests while one is answered. A client that has sent more is not seen leaving.
constexpr size_t most_ahead = size_t{64} << 10;

std::string_view reason_of(int status) {
  const auto reason = http::obsolete_reason(static_cast<http::status>(status));
  return {reason.data(), reason.size()};
}

}  // namespace

// A reply outlives its connection where a service holds it longer; then it does nothing.
class Connection::Reply : public HttpReply {
 public:
  Reply(std::shared_ptr<Connection> connection, uint64_t serial)
      : connection_(std::move(connection)), serial_(serial) {}

  // A service that forgets to answer must not leave its client waiting.
  ~Reply() override {
    if (ended_) return;
    if (begun_) {
      connection_->abort();
      return;
    }
    send(500, "application/json",
         R"({"error":{"message":"No answer.","type":"server_error","param":null,"code":null}})", {});
  }

  void send(int status, const std::string& content_type, std::string body, const Headers& headers) override {
    if (ended_.exchange(true)) return;
    on_connection([status, content_type, body = std::move(body), headers](Connection& c) {
      const std::string head = c.head(status, content_type, headers, static_cast<int64_t>(body.size()));
      c.enqueue(c.bodyless_ ? head : head + body);
      c.finish();
    });
  }

  void begin(int status, const std::string& content_type, const Headers& headers) override {
    begun_ = true;
    on_connection([status, content_type, headers](Connection& c) {
      c.streaming_ = true;
      c.enqueue(c.head(status, content_type, headers, -1));
    });
  }

  void write(std::string piece) override {
    if (piece.empty()) return;
    on_connection([piece = std::move(piece)](Connection& c) {
      c.enqueue(c.chunks_ ? fmt::format("{:x}\r\n{}\r\n", piece.size(), piece) : piece);
    });
  }

  void end() override {
    if (ended_.exchange(true)) return;
    on_connection([](Connection& c) {
      if (c.chunks_) c.enqueue("0\r\n\r\n");
      c.finish();
    });
  }

  void on_abandoned(std::function<void()> callback) override {
    connection_->on_strand([connection = connection_, serial = serial_, callback = std::move(callback)] {
      if (connection->closed_) return callback();
      if (connection->serial_ == serial && connection->replying_) connection->abandoned_ = callback;
    });
  }

 private:
  template <typename Work>
  void on_connection(Work&& work) {
    connection_->on_strand([connection = connection_, serial = serial_, work = std::forward<Work>(work)] {
      if (!connection->closed_ && connection->serial_ == serial && connection->replying_) work(*connection);
    });
  }

  std::shared_ptr<Connection> connection_;
  uint64_t serial_;
  std::atomic<bool> begun_{false}, ended_{false};
};

Connection::Connection(std::shared_ptr<Server> server, Socket socket)
    : server_(std::move(server)), stream_(std::move(socket), server_->tls.get()), deadline_(stream_.get_executor()) {
  ErrorCode ignored;
  stream_.socket().set_option(tcp::no_delay(true), ignored);
  const auto peer = stream_.socket().remote_endpoint(ignored);
  if (!ignored) peer_ = peer.address().to_string();
}

void Connection::start() {
  on_strand([self = shared_from_this()] {
    if (!self->stream_.has_tls()) return self->read_head();
    self->expire_after(self->server_->options.receive);
    self->stream_.async_handshake([self](ErrorCode error) {
      if (error) return self->close();
      self->read_head();
    });
  });
}

void Connection::wind_down() {
  on_strand([self = shared_from_this()] {
    self->closing_ = true;
    if (!self->replying_) self->close();
  });
}

void Connection::abort() {
  on_strand([self = shared_from_this()] { self->close(); });
}

void Connection::expire_after(std::chrono::seconds time) {
  deadline_.expires_after(time);
  deadline_.async_wait([self = shared_from_this()](ErrorCode error) {
    if (!error) self->close();
  });
}

void Connection::read_head() {
  if (closing_ || server_->draining) return close();
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(server_->options.max_head));
  parser_->body_limit(std::numeric_limits<uint64_t>::max());  // until the head is there
  if (buffer_.size() > 0) return begin_head();
  // A connection may wait longer for a request to begin than a request for its end.
  expire_after(server_->options.idle);
  stream_.async_read_some(buffer_.prepare(usual_read), [self = shared_from_this()](ErrorCode error, size_t count) {
    self->buffer_.commit(count);
    if (error) return self->close();
    self->begin_head();
  });
}

void Connection::begin_head() {
  expire_after(server_->options.receive);
  http::async_read_header(stream_, buffer_, *parser_,
                          [self = shared_from_this()](ErrorCode error, size_t) { self->head_came(error); });
}

void Connection::head_came(ErrorCode error) {
  if (error) return refuse(error);
  if (body_is_too_large()) return refuse(http::error::body_limit);
  keep_alive_ = parser_->get().keep_alive();
  chunks_ = parser_->get().version() >= 11;
  if (!boost::beast::iequals(parser_->get()[http::field::expect], "100-continue")) return read_body();
  static const std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
  asio::async_write(stream_, asio::buffer(go_on), [self = shared_from_this()](ErrorCode failed, size_t) {
    if (failed) return self->close();
    self->read_body();
  });
}

bool Connection::body_is_too_large() {
  const HttpOptions& options = server_->options;
  longest_body_ = options.max_body;
  if (options.longer_body) longest_body_ = std::max(longest_body_, options.longer_body(head_of_request()));
  parser_->body_limit(longest_body_);
  return parser_->content_length().value_or(0) > longest_body_;
}

HttpRequest Connection::head_of_request() const {
  const auto& message = parser_->get();
  HttpRequest request;
  const auto text = [](auto view) { return std::string(view.data(), view.size()); };
  request.method = text(message.method_string());
  const std::string target = text(message.target());
  const size_t query = target.find('?');
  request.path = target.substr(0, query);
  if (query != std::string::npos) request.query = target.substr(query + 1);
  for (const auto& field : message) {
    std::string name = text(field.name_string());
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    request.headers.emplace_back(std::move(name), text(field.value()));
  }
  request.peer = peer_;
  return request;
}

void Connection::read_body() {
  http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](ErrorCode error, size_t) {
    if (error) return self->refuse(error);
    self->deadline_.cancel();
    self->handle();
  });
}

void Connection::handle() {
  auto request = std::make_shared<HttpRequest>(head_of_request());
  request->body = std::move(parser_->get().body());
  parser_.reset();
  bodyless_ = request->method == "HEAD";
  replying_ = true;
  ++serial_;
  auto reply = std::make_shared<Reply>(shared_from_this(), serial_);
  watch();
  server_->handler(std::move(request), std::move(reply));
}

// Answers a request that cannot be read, then reads on for a while so that the answer arrives.
void Connection::refuse(ErrorCode error) {
  if (error == http::error::end_of_stream || error == asio::error::operation_aborted ||
      error == asio::error::connection_reset || error == asio::error::eof || error == http::error::partial_message ||
      error.category() == asio::error::get_ssl_category() || error == asio::ssl::error::stream_truncated)
    return close();
  const int status = error == http::error::body_limit ? 413 : error == http::error::header_limit ? 431 : 400;
  const std::string what = status == 413   ? fmt::format("The body is larger than {} bytes.", longest_body_)
                           : status == 431 ? "The headers are too large."
                                           : "This is no HTTP request.";
  const std::string body =
      fmt::format(R"({{"error":{{"message":"{}","type":"invalid_request_error","param":null,"code":null}}}})", what);
  closing_ = true;
  refused_ = true;
  replying_ = true;
  ++serial_;
  enqueue(head(status, "application/json", {}, static_cast<int64_t>(body.size())) + body);
  finish();
}

// length: of the body; negative: not known.
std::string Connection::head(int status, const std::string& content_type, const HttpReply::Headers& headers,
                             int64_t length) {
  std::string text = fmt::format("HTTP/1.1 {} {}\r\nServer: qkv\r\n", status, reason_of(status));
  if (!content_type.empty()) text += fmt::format("Content-Type: {}\r\n", content_type);
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  if (length >= 0) {
    text += fmt::format("Content-Length: {}\r\n", length);
  } else if (chunks_) {
    text += "Transfer-Encoding: chunked\r\n";
  } else {
    keep_alive_ = false;
  }
  if (!keep_alive_ || closing_ || server_->draining) {
    keep_alive_ = false;
    text += "Connection: close\r\n";
  } else if (!chunks_) {
    text += "Connection: keep-alive\r\n";
  }
  return text + "\r\n";
}

void Connection::enqueue(std::string text) {
  if (closed_) return;
  unsent_ += text.size();
  // A client that does not read what it asked for must not fill the memory.
  if (streaming_ && unsent_ > server_->options.max_unsent) return close();
  queue_.push_back(std::move(text));
  if (queue_.size() == 1) write_next();
}

void Connection::write_next() {
  const std::string& front = queue_.front();
  expire_after(server_->options.send);
  asio::async_write(stream_, asio::buffer(front.data() + sent_, std::min(most_written, front.size() - sent_)),
                    [self = shared_from_this()](ErrorCode error, size_t count) { self->written(error, count); });
}

void Connection::written(ErrorCode error, size_t count) {
  if (error) return close();
  if (closed_) return;
  sent_ += count;
  unsent_ -= count;
  if (sent_ == queue_.front().size()) {
    queue_.pop_front();
    sent_ = 0;
  }
  if (!queue_.empty()) return write_next();
  deadline_.cancel();
  if (finished_) next_request();
}

void Connection::finish() {
  finished_ = true;
  if (queue_.empty() && !closed_) next_request();
}

void Connection::next_request() {
  replying_ = finished_ = streaming_ = false;
  abandoned_ = nullptr;
  if (refused_) return discard(0);
  if (!watching_) return go_on();
  // The watch on the socket ends before the next request is read.
  resume_ = true;
  ErrorCode ignored;
  stream_.socket().cancel(ignored);
}

void Connection::go_on() {
  if (keep_alive_ && !closing_) return read_head();
  if (!stream_.has_tls()) return close();
  // The end is said, so that nobody takes the answer for one that was cut off.
  expire_after(std::chrono::seconds(2));
  stream_.async_shutdown([self = shared_from_this()](ErrorCode) { self->close(); });
}

void Connection::discard(size_t so_far) {
  if (so_far == 0) {
    ErrorCode ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    expire_after(std::chrono::seconds(5));
    waste_.resize(64 << 10);
  }
  if (so_far > most_discarded) return close();
  stream_.socket().async_read_some(asio::buffer(waste_),
                                   [self = shared_from_this(), so_far](ErrorCode error, size_t count) {
                                     if (error) return self->close();
                                     self->discard(so_far + count);
                                   });
}

// While a reply is made, tells whether the client has left: what it sends is read, as its end stands behind that.
void Connection::watch() {
  if (buffer_.size() >= most_ahead) return;
  watching_ = true;
  stream_.async_read_some(buffer_.prepare(usual_read), [self = shared_from_this()](ErrorCode error, size_t count) {
    self->buffer_.commit(count);
    self->watched(error);
  });
}

void Connection::watched(ErrorCode error) {
  watching_ = false;
  if (closed_) return;
  if (resume_) {
    resume_ = false;
    return go_on();
  }
  if (error) return close();
  watch();
}

void Connection::close() {
  if (closed_) return;
  closed_ = true;
  deadline_.cancel();
  ErrorCode ignored;
  stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
  stream_.socket().close(ignored);
  if (abandoned_) std::exchange(abandoned_, nullptr)();
  server_->closed(shared_from_this());
}

}  // namespace qkv
