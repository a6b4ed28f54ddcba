// A client of plain sockets, which can also do what well-behaved libraries cannot.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

namespace qkv {

class HttpClient {
 public:
  explicit HttpClient(uint16_t port, int receive_buffer = 0, int family = AF_INET)
      : socket_(::socket(family, SOCK_STREAM, 0)) {
    if (receive_buffer > 0) ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    const timeval patience{20, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_in6 address6{};
    address6.sin6_family = AF_INET6;
    address6.sin6_port = htons(port);
    address6.sin6_addr = in6addr_loopback;
    const bool four = family == AF_INET;
    if (::connect(socket_,
                  four ? reinterpret_cast<const sockaddr*>(&address) : reinterpret_cast<const sockaddr*>(&address6),
                  four ? sizeof address : sizeof address6) != 0)
      throw std::runtime_error("cannot connect");
  }
  HttpClient(const HttpClient&) = delete;
  ~HttpClient() { leave(); }

  void leave() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return;  // the server has closed: what it said can still be read
      bytes.remove_prefix(static_cast<size_t>(count));
    }
  }
  void get(const std::string& path, const std::string& headers = "") {
    send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n");
  }
  void post(const std::string& path, const std::string& body, const std::string& headers = "") {
    send("POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         headers + "\r\n" + body);
  }

  struct Answer {
    int status = 0;  // 0: the connection ended without one
    std::string head, body;
  };
  // One answer: its length is told, comes in chunks, or is what comes until the end.
  Answer answer(bool has_body = true) {
    Answer answer;
    if (!read_until("\r\n\r\n", answer.head)) return {};
    answer.status = std::atoi(answer.head.substr(9, 3).c_str());
    if (!has_body || answer.status == 204) return answer;
    if (const size_t at = answer.head.find("Content-Length: "); at != std::string::npos) {
      read(std::strtoul(answer.head.c_str() + at + 16, nullptr, 10), answer.body);
    } else if (answer.head.find("chunked") != std::string::npos) {
      for (std::string size, end; read_until("\r\n", size); size.clear(), end.clear()) {
        const size_t count = std::strtoul(size.c_str(), nullptr, 16);
        read(count, answer.body);
        read(2, end);
        if (count == 0) break;
      }
    } else {
      read(SIZE_MAX, answer.body);
    }
    return answer;
  }
  // Whether the server has closed the connection, after what it still sent.
  bool closed() {
    std::string rest;
    return !read(SIZE_MAX, rest);
  }
  bool read(size_t count, std::string& text) {
    while (held_.size() < count) {
      char bytes[4096];
      const ssize_t got = ::recv(socket_, bytes, sizeof bytes, 0);
      if (got <= 0) {
        text += held_;
        held_.clear();
        return false;
      }
      held_.append(bytes, static_cast<size_t>(got));
    }
    text += held_.substr(0, count);
    held_.erase(0, count);
    return true;
  }

 private:
  bool read_until(std::string_view end, std::string& text) {
    while (true) {
      if (text.ends_with(end)) return true;
      if (!read(1, text)) return false;
    }
  }
  int socket_;
  std::string held_;
};

}  // namespace qkv
