#include "qkv/tasks/compare_models.h"

#include "qkv/ops/autograd.h"
#include "qkv/tasks/vocabulary_scores.h"
#include "qkv/tasks/windows.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace qkv {
namespace {

// What each place of a window says; several threads write to places of their own.
struct Place {
  double before = 0, after = 0, divergence = 0;
  bool agrees = false;
};

Tensor hidden_of(const TextModel& model, const Row& row) {
  Tensor h;
  model.run(std::span(&row, 1), [&](const RowBatch& batch) { h = model.hidden(batch.inputs); });
  return h;
}

Place compared(std::span<const float> before, std::span<const float> after, int32_t target) {
  const double all_before = log_partition(before), all_after = log_partition(after);
  const auto likeliest = [](std::span<const float> logits) {
    return std::max_element(logits.begin(), logits.end()) - logits.begin();
  };
  Place place{.before = before[static_cast<size_t>(target)] - all_before,
              .after = after[static_cast<size_t>(target)] - all_after,
              .divergence = 0,
              .agrees = likeliest(before) == likeliest(after)};
  for (size_t v = 0; v < before.size(); ++v) {
    const double p = before[v] - all_before;
    place.divergence += std::exp(p) * (p - (after[v] - all_after));
  }
  return place;
}

void require_comparable(const TextModel& model) {
  model.require("comparing (--text)", {Task::causal_lm}, "a causal language model");
}

}  // namespace

std::vector<int32_t> ids_to_compare_on(const TextModel& before, std::string_view text, int64_t tokens) {
  require_comparable(before);
  std::vector<int32_t> ids = before.ids_of(text, "--text");
  ids.resize(static_cast<size_t>(std::min<int64_t>(std::ssize(ids), tokens)));
  if (ids.size() < 2) throw Error("--text", "is one token, and there is none before it to be predicted from");
  return ids;
}

ModelDifference compare_models(const TextModel& before, const TextModel& after, std::span<const int32_t> ids) {
  const NoGrad no_grad;
  require_comparable(before);
  require_comparable(after);
  const int64_t vocab = before.model().spec().vocab;
  if (after.model().spec().vocab != vocab)
    throw Error(after.directory().string(), "has another vocabulary than the model it is compared with");
  const int64_t length = std::min({measured_window, before.limit(), after.limit()});
  std::vector<Place> places;
  for (const auto& [begin, end] : windows_over(std::ssize(ids), length, 0)) {
    const Row row{{ids.begin() + begin, ids.begin() + end}, {}};
    const Tensor first = hidden_of(before, row), second = hidden_of(after, row);
    // A few places at a time: the scores of the vocabulary are large.
    constexpr int32_t at_once = 64;
    for (int32_t from = 0; from + 1 < end - begin; from += at_once) {
      std::vector<int32_t> some(static_cast<size_t>(std::min<int64_t>(at_once, end - begin - 1 - from)));
      std::iota(some.begin(), some.end(), from);
      std::vector<float> scores(some.size() * static_cast<size_t>(vocab));
      visit_vocabulary_scores(before, first, some, [&](size_t i, std::span<const float> logits) {
        std::copy_n(logits.begin(), vocab, scores.begin() + static_cast<ptrdiff_t>(i) * vocab);
      });
      const size_t base = places.size();
      places.resize(base + some.size());
      visit_vocabulary_scores(after, second, some, [&](size_t i, std::span<const float> logits) {
        const std::span own = std::span(scores).subspan(i * static_cast<size_t>(vocab), static_cast<size_t>(vocab));
        places[base + i] = compared(own, logits, row.ids[static_cast<size_t>(some[i]) + 1]);
      });
    }
  }
  ModelDifference total{.tokens = std::ssize(places)};
  for (const Place& place : places) {
    total.perplexity_before -= place.before;
    total.perplexity_after -= place.after;
    total.divergence += place.divergence;
    total.agreement += place.agrees ? 1 : 0;
  }
  const double count = static_cast<double>(std::max<size_t>(1, places.size()));
  total.perplexity_before = std::exp(total.perplexity_before / count);
  total.perplexity_after = std::exp(total.perplexity_after / count);
  total.divergence /= count;
  total.agreement /= count;
  return total;
}

}  // namespace qkv
