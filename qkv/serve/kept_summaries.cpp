#include "qkv/serve/kept_summaries.h"

#include <algorithm>

namespace qkv {
namespace {

constexpr size_t most_kept = 64;

// Messages as one text. That of fewer messages is the beginning of that of more.
std::string text_of_messages(const OrderedJson& messages, size_t begin, size_t end) {
  std::string text;
  for (size_t i = begin; i < end; ++i) text += messages[i].dump() + "\n";
  return text;
}

}  // namespace

void KeptSummaries::resume(const OrderedJson& messages, RunningSummary& summary) const {
  const size_t first = RunningSummary::first_said(messages);
  const std::string said = text_of_messages(messages, first, messages.size());
  const std::lock_guard lock(mutex_);
  for (const Kept& one : kept_) {
    // What is summed up ends before a question.
    const size_t next = first + one.covers;
    if (one.covers > summary.covers() && next < messages.size() && messages[next].value("role", "") == "user" &&
        said.starts_with(one.said))
      summary.resume(one.text, one.covers);
  }
}

void KeptSummaries::keep(const OrderedJson& messages, const RunningSummary& summary) {
  const size_t first = RunningSummary::first_said(messages);
  Kept kept{.said = text_of_messages(messages, first, first + summary.covers()),
            .text = summary.text(),
            .covers = summary.covers()};
  const std::lock_guard lock(mutex_);
  std::erase_if(kept_, [&](const Kept& other) { return other.said == kept.said; });
  kept_.push_front(std::move(kept));
  if (kept_.size() > most_kept) kept_.pop_back();
}

void KeptSummaries::clear() {
  const std::lock_guard lock(mutex_);
  kept_.clear();
}

}  // namespace qkv
