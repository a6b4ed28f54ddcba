// The server against clients of every kind.
#include "qkv/serve/http_server.h"

#include "qkv/core/error.h"
#include "tests/serve/http_client.h"

#include <netdb.h>

#include <atomic>
#include <future>
#include <mutex>
#include <thread>

namespace qkv {
namespace {

using Reply = std::shared_ptr<HttpReply>;
using Asked = std::shared_ptr<const HttpRequest>;

HttpOptions options() { return {.port = 0, .threads = 2}; }

// Says what it was asked.
void echo(const Asked& request, const Reply& reply) {
  reply->send(200, "text/plain", request->method + " " + request->path + "?" + request->query + "\n" + request->body,
              {});
}

TEST(HttpServer, ConnectionsAreKeptAlive) {
  HttpServer server(options(), echo);
  HttpClient client(server.port());
  for (int i = 0; i < 5; ++i) {
    client.post("/a?b=" + std::to_string(i), "body");
    const auto answer = client.answer();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "POST /a?b=" + std::to_string(i) + "\nbody");
  }
  client.get("/x", "Connection: close\r\n");
  EXPECT_EQ(client.answer().body, "GET /x?\n");
  EXPECT_TRUE(client.closed());
}

TEST(HttpServer, RequestsMayComeBeforeTheAnswers) {
  HttpServer server(options(), echo);
  HttpClient client(server.port());
  for (int i = 0; i < 10; ++i) client.get("/" + std::to_string(i));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(client.answer().body, "GET /" + std::to_string(i) + "?\n");
}

TEST(HttpServer, HeadHasNoBody) {
  HttpServer server(options(), echo);
  HttpClient client(server.port());
  client.send("HEAD /abc HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_NE(client.answer(false).head.find("Content-Length: 11\r\n"), std::string::npos);
  client.get("/next");
  EXPECT_EQ(client.answer().body, "GET /next?\n");
}

TEST(HttpServer, AnOldClientGetsAStreamUntilTheEnd) {
  HttpServer server(options(), [](const Asked&, const Reply& reply) {
    reply->begin(200, "text/event-stream");
    reply->write("one ");
    reply->write("two");
    reply->end();
  });
  HttpClient old(server.port());
  old.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.answer().body, "one two");
  HttpClient client(server.port());
  for (int i = 0; i < 3; ++i) {
    client.get("/");
    const auto answer = client.answer();
    EXPECT_NE(answer.head.find("Transfer-Encoding: chunked"), std::string::npos);
    EXPECT_EQ(answer.body, "one two");
  }
}

TEST(HttpServer, WhatIsTooLargeOrNoHttpIsRefused) {
  HttpOptions small = options();
  small.max_body = 1000;
  small.max_head = 500;
  HttpServer server(small, echo);
  const auto status = [&](const std::string& bytes) {
    HttpClient client(server.port());
    client.send(bytes);
    const int answer = client.answer().status;
    EXPECT_TRUE(client.closed());
    return answer;
  };
  EXPECT_EQ(status("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n" + std::string(1001, 'x')), 413);
  EXPECT_EQ(status("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n"), 400);
  EXPECT_EQ(status("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string("7d0\r\n") +
                   std::string(2000, 'x') + "\r\n0\r\n\r\n"),
            413);
  EXPECT_EQ(status("GET / HTTP/1.1\r\nA: " + std::string(1000, 'a') + "\r\n\r\n"), 431);
  EXPECT_EQ(status("\x16\x03\x01 nonsense\r\n\r\n"), 400);
  EXPECT_EQ(status("GET / HTTP/9.9\r\n\r\n"), 400);
  // And those behind go on.
  HttpClient client(server.port());
  client.post("/", std::string(1000, 'y'));
  EXPECT_EQ(client.answer().status, 200);
}

TEST(HttpServer, SomeRequestsMayBeLonger) {
  HttpOptions some = options();
  some.max_body = 1000;
  some.longer_body = [](const HttpRequest& head) -> uint64_t {
    return head.path == "/long" && head.header("key") == "mine" ? 3000 : 10;
  };
  HttpServer server(some, echo);
  const std::string chunked = "Transfer-Encoding: chunked\r\n\r\n7d0\r\n" + std::string(2000, 'x') + "\r\n0\r\n\r\n";
  const auto status = [&](const std::string& path, const std::string& rest) {
    HttpClient client(server.port());
    client.send("POST " + path + " HTTP/1.1\r\nHost: x\r\n" + rest);
    return client.answer().status;
  };
  const auto sized = [](size_t size) {
    return "Content-Length: " + std::to_string(size) + "\r\n\r\n" + std::string(size, 'x');
  };
  EXPECT_EQ(status("/long", "key: mine\r\n" + sized(3000)), 200);
  EXPECT_EQ(status("/long", "key: mine\r\n" + chunked), 200);
  EXPECT_EQ(status("/long", "key: mine\r\n" + sized(3001)), 413);
  EXPECT_EQ(status("/long", sized(1001)), 413);
  EXPECT_EQ(status("/short", "key: mine\r\n" + sized(1000)), 200);
  EXPECT_EQ(status("/short", "key: mine\r\n" + chunked), 413);
}

TEST(HttpServer, WhoSaysNothingIsNotWaitedFor) {
  HttpOptions hasty = options();
  hasty.idle = hasty.receive = std::chrono::seconds(1);
  HttpServer server(hasty, echo);
  HttpClient silent(server.port()), half_a_head(server.port()), half_a_body(server.port());
  half_a_head.send("GET / HTT");
  half_a_body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123");
  EXPECT_TRUE(silent.closed());
  EXPECT_TRUE(half_a_head.closed());
  EXPECT_TRUE(half_a_body.closed());
}

TEST(HttpServer, AHeadThatHasBegunMustEnd) {
  HttpOptions patient = options();
  patient.idle = std::chrono::seconds(60);
  patient.receive = std::chrono::seconds(1);
  HttpServer server(patient, echo);
  HttpClient idle(server.port()), slow(server.port()), after(server.port());
  after.get("/");
  EXPECT_EQ(after.answer().status, 200);
  after.send("GET / HTT");
  // Bytes now and then are no more time.
  const auto start = std::chrono::steady_clock::now();
  slow.send("GET / HTTP/1.1\r\n");
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    slow.send("A: b\r\n");
  }
  EXPECT_TRUE(slow.closed());
  EXPECT_TRUE(after.closed());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(15));
  idle.get("/");
  EXPECT_EQ(idle.answer().status, 200);
}

TEST(HttpServer, AClientThatDoesNotReadDoesNotFillTheMemory) {
  HttpOptions narrow = options();
  narrow.max_unsent = 1 << 20;
  std::promise<void> gone;
  HttpServer server(narrow, [&](const Asked&, const Reply& reply) {
    reply->on_abandoned([&] { gone.set_value(); });
    reply->begin(200, "text/plain");
    for (int i = 0; i < 200; ++i) reply->write(std::string(1 << 16, 'x'));
    reply->end();
  });
  HttpClient client(server.port(), 4096);
  client.get("/");
  EXPECT_EQ(gone.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
}

TEST(HttpServer, TellsWhenAClientLeaves) {
  std::promise<void> arrived, gone;
  Reply held;
  HttpServer server(options(), [&](const Asked&, const Reply& reply) {
    held = reply;
    reply->on_abandoned([&] { gone.set_value(); });
    arrived.set_value();
  });
  HttpClient client(server.port());
  client.get("/");
  arrived.get_future().wait();
  client.leave();
  EXPECT_EQ(gone.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  held->send(200, "text/plain", "for nobody");
  held.reset();
}

TEST(HttpServer, TellsWhenAClientLeavesThatHasAskedAhead) {
  const std::string one = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  for (const bool together : {true, false}) {
    std::promise<void> arrived, gone;
    Reply held;
    HttpServer server(options(), [&](const Asked&, const Reply& reply) {
      held = reply;
      reply->on_abandoned([&] { gone.set_value(); });
      arrived.set_value();
    });
    HttpClient client(server.port());
    client.send(together ? one + one : one);
    arrived.get_future().wait();
    if (!together) client.send(one);
    client.leave();
    EXPECT_EQ(gone.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready) << together;
    held.reset();
  }
}

TEST(HttpServer, AServiceThatForgetsToAnswerIsAnError) {
  HttpServer server(options(), [](const Asked& request, const Reply& reply) {
    if (request->path == "/begun") reply->begin(200, "text/plain");
  });
  HttpClient client(server.port());
  client.get("/");
  EXPECT_EQ(client.answer().status, 500);
  client.get("/begun");
  client.answer();
  EXPECT_TRUE(client.closed());
}

TEST(HttpServer, DrainsWhatIsUnderWay) {
  std::promise<void> arrived;
  std::promise<Reply> reply;
  auto server = std::make_unique<HttpServer>(options(), [&](const Asked&, const Reply& given) {
    reply.set_value(given);
    arrived.set_value();
  });
  const uint16_t port = server->port();
  HttpClient idle(port), busy(port);
  busy.get("/");
  arrived.get_future().wait();
  std::thread drain([&] { server->drain(std::chrono::seconds(20)); });
  EXPECT_TRUE(idle.closed());
  reply.get_future().get()->send(200, "text/plain", "done");
  const auto answer = busy.answer();
  EXPECT_EQ(answer.body, "done");
  EXPECT_NE(answer.head.find("Connection: close"), std::string::npos);
  drain.join();
  EXPECT_EQ(server->connections(), 0);
  EXPECT_THROW(HttpClient{port}, std::runtime_error);
}

TEST(HttpServer, RepliesMayOutliveTheServer) {
  std::promise<Reply> reply;
  auto server =
      std::make_unique<HttpServer>(options(), [&](const Asked&, const Reply& given) { reply.set_value(given); });
  HttpClient client(server->port());
  client.get("/");
  const Reply late = reply.get_future().get();
  server.reset();
  late->send(200, "text/plain", "too late");
  EXPECT_TRUE(client.closed());
}

TEST(HttpServer, AnAddressInUseIsAnError) {
  HttpServer server(options(), echo);
  HttpOptions same = options();
  same.port = server.port();
  EXPECT_THROW(HttpServer(same, echo), Error);
  same.port = 0;
  same.host = "no.such.host.invalid";
  EXPECT_THROW(HttpServer(same, echo), Error);
}

TEST(HttpServer, ANameStandsForAllItsAddresses) {
  HttpOptions named = options();
  named.host = "localhost";
  HttpServer server(named, echo);
  int reached = 0;
  for (const int family : {AF_INET, AF_INET6}) {
    // What the machine itself cannot do is not asked of the server.
    HttpOptions alone = options();
    alone.host = family == AF_INET ? "127.0.0.1" : "::1";
    try {
      const HttpServer there(alone, echo);
    } catch (const Error&) {
      continue;
    }
    addrinfo hints{}, *found = nullptr;
    hints.ai_family = family;
    if (::getaddrinfo("localhost", nullptr, &hints, &found) != 0) continue;
    ::freeaddrinfo(found);
    HttpClient client(server.port(), 0, family);
    client.get("/");
    EXPECT_EQ(client.answer().status, 200);
    ++reached;
  }
  EXPECT_GE(reached, 1);
}

TEST(HttpServer, MoreConnectionsThanAllowedAreClosed) {
  HttpOptions few = options();
  few.max_connections = 2;
  HttpServer server(few, echo);
  HttpClient a(server.port()), b(server.port());
  a.get("/");
  b.get("/");
  EXPECT_EQ(a.answer().status, 200);
  EXPECT_EQ(b.answer().status, 200);
  HttpClient third(server.port());
  EXPECT_TRUE(third.closed());
}

TEST(HttpServer, ManyClientsLeaveAtRandom) {
  std::atomic<int> abandoned{0};
  std::mutex mutex;
  std::vector<std::thread> writers;
  {
    HttpServer server(options(), [&](const Asked&, const Reply& reply) {
      reply->on_abandoned([&] { ++abandoned; });
      const std::lock_guard lock(mutex);
      writers.emplace_back([reply] {
        reply->begin(200, "text/event-stream");
        for (int i = 0; i < 10; ++i) {
          reply->write("data: x\n\n");
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        reply->end();
      });
    });
    std::vector<std::thread> clients;
    for (int c = 0; c < 4; ++c)
      clients.emplace_back([&, c] {
        for (int i = 0; i < 30; ++i) {
          HttpClient client(server.port());
          client.get("/", "Connection: close\r\n");
          std::string some;
          if ((i + c) % 3 == 1) client.read(20, some);
          if ((i + c) % 3 == 2) {
            EXPECT_EQ(client.answer().body.size(), 90U);
          }
        }
      });
    for (std::thread& client : clients) client.join();
    server.drain(std::chrono::seconds(20));
    EXPECT_EQ(server.connections(), 0);
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_GT(abandoned, 0);
}

}  // namespace
}  // namespace qkv
