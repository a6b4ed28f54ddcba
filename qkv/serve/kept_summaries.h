// Summaries of conversations' beginnings. Clients send all messages with each turn: what was summed up for the last one
// need not be summed up again.
#pragma once

#include "qkv/tasks/running_summary.h"

#include <deque>
#include <mutex>

namespace qkv {

// The latest of a model, in memory alone. Any thread.
class KeptSummaries {
 public:
  // Takes `summary` as far as a conversation that begins with these messages had come.
  void resume(const OrderedJson& messages, RunningSummary& summary) const;
  void keep(const OrderedJson& messages, const RunningSummary& summary);
  void clear();

 private:
  struct Kept {
    std::string said;  // the messages that it stands for
    std::string text;
    size_t covers = 0;
  };
  mutable std::mutex mutex_;
  std::deque<Kept> kept_;  // the latest first
};

}  // namespace qkv
