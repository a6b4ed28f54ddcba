// Signals that are told to whoever waits for input. Each is a byte in a pipe: a flag would not do, since one that comes
// just before a read would not be seen until its end.
#pragma once

#include <csignal>
#include <utility>
#include <vector>

namespace qkv {

// While it lives, these signals do nothing but be noted.
class NotedSignals {
 public:
  explicit NotedSignals(const std::vector<int>& signals);
  // They do again what they did before: at once, if one was noted that nobody has been told of.
  ~NotedSignals();
  NotedSignals(const NotedSignals&) = delete;
  NotedSignals& operator=(const NotedSignals&) = delete;

  // Does what the signal did before, and returns if that does.
  void pass_on(int signal) const;

 private:
  std::vector<std::pair<int, struct sigaction>> before_;
};

// Waits until standard input has something to read or has ended: 0; or until a signal is noted: its number.
int wait_for_input();

// The earliest signal that was noted and not yet told; 0: there is none.
int noted_signal();

}  // namespace qkv
