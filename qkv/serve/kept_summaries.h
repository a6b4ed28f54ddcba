// Summaries of conversations' beginnings. Clients send all messages with each turn: what was summed up for the last one
// need not be summed up again.
#pragma once

#include "qkv/tasks/running_summary.h"

#include <array>
#include <deque>
#include <mutex>
#include <span>

namespace qkv {

// The latest of a model, in memory alone, without the messages themselves: a digest tells them from others, so that a
// summary takes no more memory than its own text. Any thread.
class KeptSummaries {
 public:
  // Takes `summary` as far as a conversation that begins with these messages had come.
  void resume(const OrderedJson& messages, RunningSummary& summary) const;
  void keep(const OrderedJson& messages, const RunningSummary& summary);
  void clear();

 private:
  using Digest = std::array<unsigned char, 32>;
  // Element i: of the first i + 1 of these messages, d[i] = SHA-256(d[i - 1], message i).
  static std::vector<Digest> digests_of(std::span<const OrderedJson> messages);

  struct Kept {
    Digest said{};  // of the messages that it stands for
    std::string text;
    size_t covers = 0;
  };
  mutable std::mutex mutex_;
  std::deque<Kept> kept_;  // the latest first
};

}  // namespace qkv
