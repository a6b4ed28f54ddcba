#include "qkv/serve/http_server.h"

#include "qkv/core/error.h"
#include "qkv/serve/connection.h"

#include <boost/asio/ip/v6_only.hpp>
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

// How often a free port is looked for that is free at all addresses.
constexpr int most_tries = 20;

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return {};
}

struct HttpServer::State {
  struct Listener {
    explicit Listener(asio::io_context& io) : acceptor(asio::make_strand(io)) {}
    tcp::acceptor acceptor;
    asio::steady_timer pause{acceptor.get_executor()};
  };
  std::shared_ptr<Connection::Server> server = std::make_shared<Connection::Server>();
  asio::io_context& io = server->io;
  // One for each address that the host's name stands for.
  std::vector<std::unique_ptr<Listener>> listeners;
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::condition_variable changed;
  std::set<std::shared_ptr<Connection>> connections;
  uint16_t port = 0;

  void listen();
  bool listen_at(const std::vector<tcp::endpoint>& addresses);
  void accept(Listener& listener);
  void took(tcp::socket socket);
  void wait_for_end(std::chrono::seconds longest);
};

void HttpServer::State::listen() {
  const HttpOptions& options = server->options;
  try {
    tcp::resolver resolver(io);
    std::vector<tcp::endpoint> addresses;
    for (const auto& found : resolver.resolve(options.host, std::to_string(options.port), tcp::resolver::passive))
      if (std::find(addresses.begin(), addresses.end(), found.endpoint()) == addresses.end())
        addresses.push_back(found.endpoint());
    for (int tries = 1; !listen_at(addresses); ++tries)
      if (tries == most_tries) throw boost::system::system_error(asio::error::address_in_use);
  } catch (const boost::system::system_error& error) {
    throw Error(fmt::format("{}:{}", options.host, options.port),
                fmt::format("cannot listen there: {}", error.code().message()),
                error.code() == asio::error::address_in_use ? "choose another --port, or 0 for a free one"
                                                            : "check --host and --port");
  }
}

// false: the port that was free at the first address is in use at another.
bool HttpServer::State::listen_at(const std::vector<tcp::endpoint>& addresses) {
  listeners.clear();
  port = server->options.port;
  error_code absent;
  for (tcp::endpoint address : addresses) {
    address.port(port);
    auto listener = std::make_unique<Listener>(io);
    tcp::acceptor& acceptor = listener->acceptor;
    try {
      acceptor.open(address.protocol());
      acceptor.set_option(tcp::acceptor::reuse_address(true));
      // Beside one for IPv4, one for IPv6 must not take its port as well.
      if (addresses.size() > 1 && address.address().is_v6()) acceptor.set_option(asio::ip::v6_only(true));
      acceptor.bind(address);
      acceptor.listen();
    } catch (const boost::system::system_error& error) {
      // A machine without IPv6 may still have names of such addresses.
      if (error.code() == asio::error::address_family_not_supported ||
          error.code() == boost::system::errc::address_not_available) {
        absent = error.code();
        continue;
      }
      if (error.code() == asio::error::address_in_use && server->options.port == 0 && !listeners.empty()) return false;
      throw;
    }
    port = acceptor.local_endpoint().port();
    listeners.push_back(std::move(listener));
  }
  if (listeners.empty()) throw boost::system::system_error(absent);
  return true;
}

// On the listener's strand.
void HttpServer::State::accept(Listener& listener) {
  listener.acceptor.async_accept(asio::make_strand(io), [this, &listener](error_code error, tcp::socket socket) {
    if (!listener.acceptor.is_open()) return;
    if (!error) {
      took(std::move(socket));
    } else if (error == asio::error::no_descriptors || error == asio::error::no_buffer_space) {
      // Others must leave first.
      listener.pause.expires_after(std::chrono::milliseconds(50));
      return listener.pause.async_wait([this, &listener](error_code) {
        if (listener.acceptor.is_open()) accept(listener);
      });
    }
    accept(listener);
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
  for (const auto& each : state.listeners)
    asio::post(each->acceptor.get_executor(), [&state, &listener = *each] { state.accept(listener); });
  for (int i = 0; i < std::max(1, options.threads); ++i) state.threads.emplace_back([&state] { state.io.run(); });
}

HttpServer::~HttpServer() {
  drain(std::chrono::seconds(0));
  // With the listeners and all connections closed there is nothing left to run.
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
  for (const auto& each : state.listeners)
    asio::post(each->acceptor.get_executor(), [&listener = *each] {
      error_code ignored;
      listener.acceptor.close(ignored);
      listener.pause.cancel();
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
