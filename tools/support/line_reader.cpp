#include "tools/support/line_reader.h"

#include "qkv/core/error.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace qkv {
namespace {

// A byte for each interrupt. A flag would not do: an interrupt just before a read would not be seen until its end.
std::array<int, 2> interrupts = {-1, -1};

void note_interrupt(int) {
  const int before = errno;
  [[maybe_unused]] const ssize_t written = ::write(interrupts[1], "", 1);
  errno = before;
}

}  // namespace

LineReader::LineReader() {
  if (interrupts[0] < 0 && ::pipe2(interrupts.data(), O_NONBLOCK | O_CLOEXEC) != 0)
    throw Error("chat", "cannot make a pipe", "close other programs, and try again");
  struct sigaction action {};
  action.sa_handler = note_interrupt;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
}

bool LineReader::interrupted() {
  std::array<char, 64> bytes{};
  return ::read(interrupts[0], bytes.data(), bytes.size()) > 0;
}

LineReader::Got LineReader::next(std::string& line) {
  while (true) {
    if (const size_t end = read_.find('\n'); end != std::string::npos || (ended_ && !read_.empty())) {
      line = read_.substr(0, end);
      read_.erase(0, end == std::string::npos ? end : end + 1);
      return Got::line;
    }
    if (ended_) return Got::end;
    std::array<pollfd, 2> places = {pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{interrupts[0], POLLIN, 0}};
    if (::poll(places.data(), places.size(), -1) < 0) {
      ended_ = errno != EINTR;  // else the handler has run
      continue;
    }
    if (interrupted()) return Got::interrupt;
    std::array<char, 4096> bytes{};
    const ssize_t count = ::read(STDIN_FILENO, bytes.data(), bytes.size());
    if (count > 0) read_.append(bytes.data(), static_cast<size_t>(count));
    if (count == 0 || (count < 0 && errno != EINTR)) ended_ = true;
  }
}

}  // namespace qkv
