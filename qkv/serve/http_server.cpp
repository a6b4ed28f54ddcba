#include "qkv/serve/http_server.h"

#include "qkv/core/error.h"
#include "qkv/serve/connection.h"

#include <boost/asio/strand.hpp>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

namespace qkv {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return {};
}

struct HttpServer::State {
  std::shared_ptr<Connection::Server> server = std::make_shared<Connection::Server>();
  asio::io_context& io = server->io;
  tcp::acceptor acceptor{asio::make_strand(io)};
  asio::steady_timer pause{acceptor.get_executor()};
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::condition_variable changed;
  std::set<std::shared_ptr<Connection>> connections;
  uint16_t port = 0;

  void listen();
  void accept();
  void took(tcp::socket socket);
  void wait_for_end(std::chrono::seconds longest);
};

void HttpServer::State::listen() {
  const HttpOptions& options = server->options;
  try {
    tcp::resolver resolver(io);
    const auto found = resolver.resolve(options.host, std::to_string(options.port), tcp::resolver::passive);
    const tcp::endpoint endpoint = *found.begin();
    acceptor.open(endpoint.protocol());
    acceptor.set_option(tcp::acceptor::reuse_address(true));
    acceptor.bind(endpoint);
    acceptor.listen();
    port = acceptor.local_endpoint().port();
  } catch (const boost::system::system_error& error) {
    throw Error(fmt::format("{}:{}", options.host, options.port),
                fmt::format("cannot listen there: {}", error.code().message()),
                error.code() == asio::error::address_in_use ? "choose another --port, or 0 for a free one"
                                                            : "check --host and --port");
  }
}

// On the acceptor's strand.
void HttpServer::State::accept() {
  acceptor.async_accept(asio::make_strand(io), [this](error_code error, tcp::socket socket) {
    if (!acceptor.is_open()) return;
    if (!error) {
      took(std::move(socket));
    } else if (error == asio::error::no_descriptors || error == asio::error::no_buffer_space) {
      // Others must leave first.
      pause.expires_after(std::chrono::milliseconds(50));
      return pause.async_wait([this](error_code) {
        if (acceptor.is_open()) accept();
      });
    }
    accept();
  });
}

void HttpServer::State::took(tcp::socket socket) {
  std::shared_ptr<Connection> connection;
  {
    const std::lock_guard lock(mutex);
    if (static_cast<int>(connections.size()) >= server->options.max_connections) return;
    connection = std::make_shared<Connection>(server, std::move(socket));
    connections.insert(connection);
  }
  connection->start();
}

void HttpServer::State::wait_for_end(std::chrono::seconds longest) {
  std::unique_lock lock(mutex);
  changed.wait_for(lock, longest, [this] { return connections.empty(); });
}

HttpServer::HttpServer(const HttpOptions& options, HttpHandler handler) : state_(std::make_unique<State>()) {
  State& state = *state_;
  state.server->options = options;
  state.server->handler = std::move(handler);
  if (!options.tls_certificate.empty() || !options.tls_key.empty()) {
    if (options.tls_certificate.empty() || options.tls_key.empty())
      throw Error(options.tls_key.empty() ? "--tls-key" : "--tls-cert", "is missing",
                  "TLS needs a certificate and its key");
    state.server->tls = tls_context(options.tls_certificate, options.tls_key);
  }
  state.server->closed = [&state](const std::shared_ptr<Connection>& connection) {
    {
      const std::lock_guard lock(state.mutex);
      state.connections.erase(connection);
    }
    state.changed.notify_all();
  };
  state.listen();
  asio::post(state.acceptor.get_executor(), [&state] { state.accept(); });
  for (int i = 0; i < std::max(1, options.threads); ++i) state.threads.emplace_back([&state] { state.io.run(); });
}

HttpServer::~HttpServer() {
  drain(std::chrono::seconds(0));
  // With the listener and all connections closed there is nothing left to run.
  for (std::thread& thread : state_->threads) thread.join();
  state_->server->ended = true;
}

uint16_t HttpServer::port() const { return state_->port; }

int64_t HttpServer::connections() const {
  const std::lock_guard lock(state_->mutex);
  return static_cast<int64_t>(state_->connections.size());
}

void HttpServer::drain(std::chrono::seconds longest) {
  State& state = *state_;
  state.server->draining = true;
  asio::post(state.acceptor.get_executor(), [&state] {
    error_code ignored;
    state.acceptor.close(ignored);
    state.pause.cancel();
  });
  const auto all = [&state] {
    const std::lock_guard lock(state.mutex);
    return state.connections;
  };
  for (const auto& connection : all()) connection->wind_down();
  state.wait_for_end(longest);
  for (const auto& connection : all()) connection->abort();
  state.wait_for_end(std::chrono::seconds(2));
}

}  // namespace qkv
