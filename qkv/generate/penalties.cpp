#include "qkv/generate/penalties.h"

#include "qkv/core/error.h"
#include "qkv/generate/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

namespace qkv {
namespace {

constexpr float banned = -std::numeric_limits<float>::infinity();

void ban_repeated_ngrams(std::span<float> scores, std::span<const int32_t> ids, size_t n) {
  if (n == 0 || ids.size() + 1 < n) return;
  const std::span<const int32_t> last = ids.last(n - 1);
  for (size_t i = 0; i + n <= ids.size(); ++i)
    if (std::equal(last.begin(), last.end(), ids.begin() + static_cast<ptrdiff_t>(i)))
      scores[static_cast<size_t>(ids[i + n - 1])] = banned;
}

// A sequence whose beginning stands at the end of what was said is not completed. That the text ends is never bad.
void ban_bad_words(std::span<float> scores, std::span<const int32_t> ids, const GenerationOptions& o) {
  for (const std::vector<int32_t>& word : o.bad_words) {
    const size_t before = word.size() - 1;
    const bool is_end = before == 0 && std::find(o.end_ids.begin(), o.end_ids.end(), word[0]) != o.end_ids.end();
    if (is_end || before > ids.size() || static_cast<size_t>(word.back()) >= scores.size()) continue;
    if (std::equal(word.begin(), word.end() - 1, ids.end() - static_cast<ptrdiff_t>(before)))
      scores[static_cast<size_t>(word.back())] = banned;
  }
}

// The token is certain.
void force(std::span<float> scores, int32_t token) {
  if (token < 0 || static_cast<size_t>(token) >= scores.size()) return;
  std::fill(scores.begin(), scores.end(), banned);
  scores[static_cast<size_t>(token)] = 0;
}

}  // namespace

void allow_only(std::span<float> scores, std::span<const int32_t> tokens) {
  std::vector<bool> kept(scores.size(), false);
  for (const int32_t token : tokens)
    if (token >= 0 && static_cast<size_t>(token) < kept.size()) kept[static_cast<size_t>(token)] = true;
  for (size_t i = 0; i < scores.size(); ++i)
    if (!kept[i]) scores[i] = banned;
}

bool penalises(const GenerationOptions& o) {
  return o.repetition_penalty != 1 || o.frequency_penalty != 0 || o.presence_penalty != 0 || !o.logit_bias.empty() ||
         o.no_repeat_ngram_size > 0 || !o.bad_words.empty() || o.min_new_tokens > 0 || o.allowed ||
         o.forced_first >= 0 || o.forced_last >= 0;
}

void apply_penalties(std::span<float> scores, std::span<const int32_t> ids, size_t prompt, const GenerationOptions& o) {
  auto said = ids.begin();
  while (!o.penalise_padding && said != ids.begin() + static_cast<ptrdiff_t>(prompt) && *said == o.prompt_padding)
    ++said;
  if (o.repetition_penalty != 1)
    for (const int32_t id : std::set<int32_t>(said, ids.end())) {
      float& score = scores[static_cast<size_t>(id)];
      score = score < 0 ? score * o.repetition_penalty : score / o.repetition_penalty;
    }
  if (o.frequency_penalty != 0 || o.presence_penalty != 0) {
    std::map<int32_t, int> counts;
    for (const int32_t id : ids.subspan(prompt)) ++counts[id];
    for (const auto& [id, count] : counts)
      scores[static_cast<size_t>(id)] -= o.frequency_penalty * static_cast<float>(count) + o.presence_penalty;
  }
  for (const auto& [id, bias] : o.logit_bias)
    if (id >= 0 && static_cast<size_t>(id) < scores.size()) scores[static_cast<size_t>(id)] += bias;
  ban_repeated_ngrams(scores, ids, static_cast<size_t>(o.no_repeat_ngram_size));
  ban_bad_words(scores, ids, o);
  const int64_t generated = static_cast<int64_t>(ids.size() - prompt);
  if (generated < o.min_new_tokens)
    for (const int32_t id : o.end_ids)
      if (id >= 0 && static_cast<size_t>(id) < scores.size()) scores[static_cast<size_t>(id)] = banned;
  if (o.allowed) allow_only(scores, o.allowed(ids, prompt));
  if (generated == 0) force(scores, o.forced_first);
  if (generated + 1 == o.max_new_tokens) force(scores, o.forced_last);
}

NextScores next_scores(std::span<const float> logits, std::span<const int32_t> ids, size_t prompt,
                       const GenerationOptions& options) {
  NextScores next{{logits.begin(), logits.end()}, {logits.begin(), logits.end()}};
  to_log_probabilities(next.log_probabilities);
  if (std::isnan(next.log_probabilities[0]))
    throw Error("model", "its scores are not finite numbers", "the weights are damaged, or training had diverged");
  apply_penalties(next.scores, ids, prompt, options);
  if (!std::isfinite(*std::max_element(next.scores.begin(), next.scores.end())))
    next.scores.assign(logits.begin(), logits.end());
  return next;
}

}  // namespace qkv
