// The next token of one sequence: penalties and bans, then the likeliest or a draw.
#pragma once

#include "qkv/core/random.h"
#include "qkv/generate/options.h"

#include <cmath>
#include <span>
#include <utility>
#include <vector>

namespace qkv {

// A token with its log probability under the model before any penalty or cut, and the likeliest ones of its place.
struct ChosenToken {
  int32_t id = 0;
  float log_probability = 0;
  std::vector<std::pair<int32_t, float>> likeliest;
};

// Chooses from `logits` [V]. `ids` is the sequence so far, its first `prompt` ids given. Where the bans leave nothing,
// they do not hold; where options.allowed allows nothing, the result is -1. Draws one number from `random` when
// sampling, none otherwise.
int32_t choose_token(std::span<const float> logits, std::span<const int32_t> ids, size_t prompt,
                     const GenerationOptions& options, Random& random);

// Why a sequence fails where no token can be chosen.
constexpr const char* not_finite =
    "the model's scores are not finite numbers: the weights are damaged, or training had diverged";
constexpr const char* nothing_allowed = "no token of the vocabulary may follow what was written";

// log softmax(logits), worked out for the tokens that are asked for.
class LogProbabilities {
 public:
  explicit LogProbabilities(std::span<const float> logits);  // which outlive this

  // Not where a logit is NaN, or the largest is infinite; then nothing else is to be asked.
  bool finite() const { return !std::isnan(of_best_); }
  float of(int32_t token) const {
    return of_best_ + (logits_[static_cast<size_t>(token)] - logits_[static_cast<size_t>(best_)]);
  }
  // `token` and the `count` likeliest, likeliest first; of equals the smaller id first.
  ChosenToken scored(int32_t token, int64_t count) const;

 private:
  std::span<const float> logits_;
  int32_t best_;
  float of_best_;
};

}  // namespace qkv
