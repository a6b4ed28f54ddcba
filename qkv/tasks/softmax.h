// Probabilities of a few classes.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

namespace qkv {

inline std::vector<double> softmax_of(std::span<const float> logits) {
  const double highest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> scores;
  double sum = 0;
  for (const float x : logits) sum += scores.emplace_back(std::exp(static_cast<double>(x) - highest));
  for (double& score : scores) score /= sum;
  return scores;
}

}  // namespace qkv
