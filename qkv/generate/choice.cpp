#include "qkv/generate/choice.h"

#include "qkv/generate/penalties.h"
#include "qkv/generate/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace qkv {
namespace {

std::vector<int32_t> likeliest(std::span<const float> scores, int64_t count) {
  std::vector<int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  const auto end = order.begin() + std::min<ptrdiff_t>(count, std::ssize(order));
  std::partial_sort(order.begin(), end, order.end(), [&](int32_t a, int32_t b) {
    const float x = scores[static_cast<size_t>(a)], y = scores[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  });
  order.erase(end, order.end());
  return order;
}

}  // namespace

int32_t choose_token(std::span<const float> logits, std::span<const int32_t> ids, size_t prompt,
                     const GenerationOptions& options, Random& random) {
  // Vocabularies are large: the copy's memory is kept, and made only for those who change it.
  thread_local std::vector<float> penalised;
  std::span<const float> scores = logits;
  if (penalises(options)) {
    penalised.assign(logits.begin(), logits.end());
    apply_penalties(penalised, ids, prompt, options);
    scores = penalised;
  }
  int32_t best = argmax(scores);
  const auto nothing_left = [&] { return !std::isfinite(scores[static_cast<size_t>(best)]); };
  if (nothing_left() && penalises(options)) {
    penalised.assign(logits.begin(), logits.end());
    // Bans yield; what alone is allowed does not.
    if (options.allowed) allow_only(penalised, options.allowed(ids, prompt));
    best = argmax(scores);
  }
  if (nothing_left()) return -1;
  return options.sample ? sample_token(scores, options, random.uniform()) : best;
}

LogProbabilities::LogProbabilities(std::span<const float> logits)
    : logits_(logits), best_(argmax(logits)), of_best_(log_probability(logits, best_)) {}

ChosenToken LogProbabilities::scored(int32_t token, int64_t count) const {
  ChosenToken result{.id = token, .log_probability = of(token), .likeliest = {}};
  if (count > 0)
    for (const int32_t id : likeliest(logits_, count)) result.likeliest.emplace_back(id, of(id));
  return result;
}

}  // namespace qkv
