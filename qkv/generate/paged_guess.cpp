// Guessing tokens ahead: the model checks several for little more than the price of one (Leviathan et al. 2023,
// arXiv 2211.17192).
#include "qkv/generate/paged_scheduler.h"
#include "qkv/generate/prompt_lookup.h"

#include <algorithm>

namespace qkv {
namespace {

// Rows that a pass reads for little more than the price of one: the weights stream by once for all of them.
constexpr int64_t cheap_rows = 8;

}  // namespace

void PagedScheduler::guess(std::vector<Part>& parts) {
  if (parts.empty()) return;
  const int64_t each = cheap_rows / std::ssize(parts) - 1;
  for (Part& part : parts) {
    Sequence& s = *part.sequence;
    s.guesses.clear();
    if (!s.siblings.empty() || (s.scores_prompt && s.generated() == 0)) continue;
    const int64_t room = std::min({each, s.guessing, s.limit - s.generated() - 1, context_ - std::ssize(s.window) - 1});
    if (room < 1) continue;
    if (draft_ == nullptr) {
      s.guesses = look_up(s.window, room);
    } else {
      s.guesses.assign(static_cast<size_t>(room), 0);
    }
  }
  if (draft_ != nullptr) guess_with_draft(parts);
  for (Part& part : parts) {
    part.rows += std::ssize(part.sequence->guesses);
    stats_.guessed_tokens += std::ssize(part.sequence->guesses);
  }
}

// The draft model writes with the random numbers that the model will choose with: alike models then choose alike.
void PagedScheduler::guess_with_draft(std::vector<Part>& parts) {
  std::vector<Random> random;
  int64_t most = 0;
  for (const Part& part : parts) {
    random.push_back(part.sequence->random);
    most = std::max(most, std::ssize(part.sequence->guesses));
  }
  std::vector<std::vector<int32_t>> drafts(parts.size());
  for (int64_t n = 0; n < most; ++n) {
    std::vector<Part> now;
    std::vector<size_t> whose;
    for (size_t i = 0; i < parts.size(); ++i) {
      Sequence& s = *parts[i].sequence;
      if (n >= std::ssize(s.guesses)) continue;
      // hidden_of() reads behind the window what has been guessed so far.
      s.guesses.swap(drafts[i]);
      now.push_back({&s, std::ssize(s.window) + n - s.draft_cached, 1});
      whose.push_back(i);
    }
    const Tensor logits = logits_of(now, true);
    const auto vocab = static_cast<size_t>(logits.size(1));
    for (size_t k = 0; k < now.size(); ++k) {
      Sequence& s = *now[k].sequence;
      std::vector<int32_t> said = s.ids;
      said.insert(said.end(), s.guesses.begin(), s.guesses.end());
      const std::span<const float> scores(logits.data<float>() + k * vocab, vocab);
      // A wrong guess where nothing may follow.
      const int32_t token =
          std::max(0, choose_token(scores, said, s.request->prompt.size(), s.request->options, random[whose[k]]));
      s.draft_cached += now[k].rows;
      s.guesses.push_back(token);
      s.guesses.swap(drafts[whose[k]]);
    }
  }
  for (size_t i = 0; i < parts.size(); ++i) parts[i].sequence->guesses = std::move(drafts[i]);
}

}  // namespace qkv
