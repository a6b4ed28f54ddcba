#include "qkv/serve/kept_summaries.h"

#include <openssl/sha.h>

#include <algorithm>

namespace qkv {
namespace {

constexpr size_t most_kept = 64;

}  // namespace

std::vector<KeptSummaries::Digest> KeptSummaries::digests_of(std::span<const OrderedJson> messages) {
  std::vector<Digest> digests;
  std::string text;
  for (const OrderedJson& message : messages) {
    text += message.dump();
    SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digests.emplace_back().data());
    text.assign(digests.back().begin(), digests.back().end());
  }
  return digests;
}

void KeptSummaries::resume(const OrderedJson& messages, RunningSummary& summary) const {
  const size_t first = RunningSummary::first_said(messages);
  const std::vector<Digest> said =
      digests_of(std::span(messages.get_ref<const OrderedJson::array_t&>()).subspan(first));
  const std::lock_guard lock(mutex_);
  for (const Kept& one : kept_) {
    // What is summed up ends before a question.
    const size_t next = first + one.covers;
    if (one.covers > summary.covers() && next < messages.size() && messages[next].value("role", "") == "user" &&
        said[one.covers - 1] == one.said)
      summary.resume(one.text, one.covers);
  }
}

void KeptSummaries::keep(const OrderedJson& messages, const RunningSummary& summary) {
  if (summary.covers() == 0) return;
  const std::span all(messages.get_ref<const OrderedJson::array_t&>());
  const size_t first = RunningSummary::first_said(messages);
  Kept kept{.said = digests_of(all.subspan(first, summary.covers())).back(),
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
