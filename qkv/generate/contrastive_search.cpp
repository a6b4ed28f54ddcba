#include "qkv/generate/contrastive_search.h"

#include "qkv/generate/penalties.h"
#include "qkv/generate/sampling.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/linear.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace qkv {
namespace {

// The rows of h [N, D], each divided by its length.
Tensor unit_rows(const Tensor& h) {
  std::vector<float> values = h.to_vector<float>();
  const size_t width = static_cast<size_t>(h.size(1));
  for (size_t begin = 0; begin < values.size(); begin += width) {
    const std::span<float> row(values.data() + begin, width);
    const double length = std::sqrt(std::inner_product(row.begin(), row.end(), row.begin(), 0.0));
    for (float& x : row) x = static_cast<float>(x / std::max(length, 1e-30));
  }
  return Tensor::from(h.shape(), values);
}

// The hidden states of what one row has read.
class HiddenStates {
 public:
  HiddenStates(const Tensor& of_prompt, int64_t room)
      : unit_(Tensor::empty({of_prompt.size(0) + room, of_prompt.size(1)})) {
    add(of_prompt);
  }
  void add(const Tensor& h) {
    const Tensor unit = unit_rows(h);
    std::copy_n(unit.data<float>(), unit.numel(), unit_.data<float>() + count_ * unit_.size(1));
    count_ += h.size(0);
  }
  // The highest cosine of a state h [1, D] with one of them.
  float likeness(const Tensor& h) const {
    const NoGrad no_grad;
    const std::vector<float> cosines = linear(unit_rows(h), unit_.narrow(0, 0, count_), {}).to_vector<float>();
    return *std::max_element(cosines.begin(), cosines.end());
  }

 private:
  Tensor unit_;
  int64_t count_ = 0;
};

struct ContrastiveCandidate {
  int32_t token;
  float probability;      // after penalties
  float log_probability;  // before them
};

struct ContrastiveRow {
  std::vector<int32_t> ids;  // prompt and continuation
  size_t prompt;
  HiddenStates read;
  Continuation result;
  bool done = false;
};

// Always `count` of them, so that all rows have as many: where fewer tokens are possible, the likeliest several times.
std::vector<ContrastiveCandidate> likeliest(const ContrastiveRow& row, std::span<const float> logits,
                                            const GenerationOptions& options, size_t count) {
  NextScores next = next_scores(logits, row.ids, row.prompt, options);
  to_log_probabilities(next.scores);
  std::vector<int32_t> tokens(next.scores.size());
  std::iota(tokens.begin(), tokens.end(), 0);
  const auto score = [&](int32_t token) { return next.scores[static_cast<size_t>(token)]; };
  std::partial_sort(tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(count), tokens.end(),
                    [&](int32_t a, int32_t b) { return score(a) != score(b) ? score(a) > score(b) : a < b; });
  std::vector<ContrastiveCandidate> candidates;
  for (size_t i = 0; i < count; ++i) {
    const int32_t token = std::isfinite(score(tokens[i])) ? tokens[i] : tokens[0];
    candidates.push_back({token, std::exp(score(token)), next.log_probabilities[static_cast<size_t>(token)]});
  }
  return candidates;
}

}  // namespace

std::vector<std::vector<Continuation>> contrastive_search(Decoding& decoding,
                                                          const std::vector<std::vector<int32_t>>& prompts,
                                                          const GenerationOptions& options, int64_t limit,
                                                          const Generator::OnToken& on_token) {
  const float alpha = options.penalty_alpha;
  const size_t count = std::min(static_cast<size_t>(options.top_k), decoding.logits(0).size());
  std::vector<ContrastiveRow> rows;
  for (size_t i = 0; i < prompts.size(); ++i)
    rows.push_back({prompts[i], prompts[i].size(), HiddenStates(decoding.hidden(i), limit), {}});
  for (int64_t step = 0; step < limit; ++step) {
    std::vector<ContrastiveCandidate> candidates;
    std::vector<int32_t> sources, tokens;
    for (size_t i = 0; i < rows.size(); ++i)
      for (const ContrastiveCandidate& candidate : likeliest(rows[i], decoding.logits(i), options, count)) {
        candidates.push_back(candidate);
        sources.push_back(static_cast<int32_t>(i));
        tokens.push_back(candidate.token);
      }
    decoding.select_rows(sources, false);
    decoding.advance(tokens);
    std::vector<int32_t> taken;
    bool all_done = true;
    for (size_t i = 0; i < rows.size(); ++i) {
      ContrastiveRow& row = rows[i];
      const auto worth = [&](size_t c) {
        return (1 - alpha) * candidates[c].probability - alpha * row.read.likeness(decoding.hidden(c));
      };
      size_t best = i * count;
      float most = worth(best);
      for (size_t c = best + 1; c < (i + 1) * count && !row.done; ++c)
        if (const float value = worth(c); value > most) {
          best = c;
          most = value;
        }
      taken.push_back(static_cast<int32_t>(best));
      if (row.done) continue;
      const int32_t token = candidates[best].token;
      row.ids.push_back(token);
      row.read.add(decoding.hidden(best));
      row.result.ids.push_back(token);
      row.result.log_probabilities.push_back(candidates[best].log_probability);
      row.result.ended = std::find(options.end_ids.begin(), options.end_ids.end(), token) != options.end_ids.end();
      row.done = row.result.ended || (on_token && !on_token(i, token));
      all_done = all_done && row.done;
    }
    if (all_done) break;
    decoding.select_rows(taken);
  }
  std::vector<std::vector<Continuation>> results;
  for (ContrastiveRow& row : rows) results.push_back({std::move(row.result)});
  return results;
}

}  // namespace qkv
