#include "qkv/generate/sampling.h"

#include "qkv/kernels/kernels.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace qkv {
namespace {

struct Candidate {
  int32_t id;
  double p;
};

void renormalise(std::vector<Candidate>& candidates) {
  double sum = 0;
  for (const Candidate& c : candidates) sum += c.p;
  for (Candidate& c : candidates) c.p /= sum;
}

// Keeps the shortest front part whose probabilities reach `mass`.
void keep_mass(std::vector<Candidate>& candidates, double mass) {
  double sum = 0;
  size_t count = 0;
  while (count < candidates.size() && sum < mass) sum += candidates[count++].p;
  candidates.resize(std::max<size_t>(1, count));
  renormalise(candidates);
}

void keep_typical(std::vector<Candidate>& candidates, double mass) {
  double entropy = 0;
  for (const Candidate& c : candidates)
    if (c.p > 0) entropy -= c.p * std::log(c.p);
  const auto distance = [&](const Candidate& c) { return std::abs(-std::log(c.p) - entropy); };
  std::stable_sort(candidates.begin(), candidates.end(),
                   [&](const Candidate& a, const Candidate& b) { return distance(a) < distance(b); });
  keep_mass(candidates, mass);
}

}  // namespace

int32_t argmax(std::span<const float> scores) {
  return static_cast<int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

void to_log_probabilities(std::span<float> scores) {
  // Beside a large score, the logarithm's digits would be rounded away.
  const float highest = *std::max_element(scores.begin(), scores.end());
  for (float& score : scores) score -= highest;
  kernels::kernels_for(Device()).softmax(
      {.rows = 1, .width = std::ssize(scores), .log = true, .x = scores.data(), .y = scores.data()});
}

int32_t sample_token(std::span<const float> logits, const GenerationOptions& o, double uniform) {
  std::vector<Candidate> candidates(logits.size());
  const double highest = *std::max_element(logits.begin(), logits.end());
  for (size_t i = 0; i < logits.size(); ++i)
    candidates[i] = {static_cast<int32_t>(i), std::exp((logits[i] - highest) / static_cast<double>(o.temperature))};
  const auto likelier = [](const Candidate& a, const Candidate& b) { return a.p != b.p ? a.p > b.p : a.id < b.id; };
  const size_t k = o.top_k > 0 ? std::min(static_cast<size_t>(o.top_k), candidates.size()) : candidates.size();
  const bool sorted = k < candidates.size() || o.top_p < 1;
  if (sorted)
    std::partial_sort(candidates.begin(), candidates.begin() + static_cast<ptrdiff_t>(k), candidates.end(), likelier);
  candidates.resize(k);
  renormalise(candidates);
  if (o.top_p < 1) keep_mass(candidates, o.top_p);
  if (o.min_p > 0) {
    double best = 0;
    for (const Candidate& c : candidates) best = std::max(best, c.p);
    std::erase_if(candidates, [&](const Candidate& c) { return c.p < o.min_p * best; });
    renormalise(candidates);
  }
  if (o.typical_p < 1) keep_typical(candidates, o.typical_p);
  double left = uniform;
  for (const Candidate& c : candidates) {
    left -= c.p;
    if (left < 0) return c.id;
  }
  return candidates.back().id;
}

}  // namespace qkv
