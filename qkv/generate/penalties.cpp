#include "qkv/generate/penalties.h"

#include <algorithm>
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

}  // namespace

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
  ban_repeated_ngrams(scores, ids, static_cast<size_t>(o.no_repeat_ngram_size));
  if (static_cast<int64_t>(ids.size() - prompt) < o.min_new_tokens)
    for (const int32_t id : o.end_ids)
      if (id >= 0 && static_cast<size_t>(id) < scores.size()) scores[static_cast<size_t>(id)] = banned;
}

}  // namespace qkv
