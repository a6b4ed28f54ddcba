#include "tools/support/noted_signals.h"

#include "qkv/core/error.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace qkv {
namespace {

std::array<int, 2> signal_pipe = {-1, -1};

void note_signal(int signal) {
  const int before = errno;
  const auto number = static_cast<unsigned char>(signal);
  [[maybe_unused]] const ssize_t written = ::write(signal_pipe[1], &number, 1);
  errno = before;
}

struct sigaction noting() {
  struct sigaction action {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;
  return action;
}

}  // namespace

NotedSignals::NotedSignals(const std::vector<int>& signals) {
  if (signal_pipe[0] < 0 && ::pipe2(signal_pipe.data(), O_NONBLOCK | O_CLOEXEC) != 0)
    throw Error("chat", "cannot make a pipe", "close other programs, and try again");
  const struct sigaction action = noting();
  for (const int signal : signals) ::sigaction(signal, &action, &before_.emplace_back(signal, action).second);
}

NotedSignals::~NotedSignals() {
  for (const auto& [signal, action] : before_) ::sigaction(signal, &action, nullptr);
  std::vector<int> of_others;
  while (const int signal = noted_signal()) {
    const bool ours = std::any_of(before_.begin(), before_.end(), [&](const auto& one) { return one.first == signal; });
    if (ours) ::raise(signal);
    if (!ours) of_others.push_back(signal);
  }
  for (const int signal : of_others) note_signal(signal);
}

void NotedSignals::pass_on(int signal) const {
  for (const auto& [number, action] : before_)
    if (number == signal) {
      struct sigaction now {};
      ::sigaction(signal, &action, &now);
      ::raise(signal);
      ::sigaction(signal, &now, nullptr);
    }
}

int wait_for_input() {
  while (true) {
    std::array<pollfd, 2> places = {pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{signal_pipe[0], POLLIN, 0}};
    const int ready = ::poll(places.data(), places.size(), -1);
    if (ready < 0 && errno == EINTR) continue;  // the handler has run
    if (const int signal = noted_signal(); signal != 0) return signal;
    return 0;  // also where it cannot be waited for: reading it tells why
  }
}

int noted_signal() {
  unsigned char number = 0;
  return ::read(signal_pipe[0], &number, 1) == 1 ? number : 0;
}

}  // namespace qkv
