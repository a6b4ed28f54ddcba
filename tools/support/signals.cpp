#include "tools/support/signals.h"

#include <csignal>

namespace qkv {
namespace {

std::atomic<bool> stop{false};

void on_signal(int signal) {
  if (stop.exchange(true)) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

}  // namespace

const std::atomic<bool>& stop_requested() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  return stop;
}

}  // namespace qkv
