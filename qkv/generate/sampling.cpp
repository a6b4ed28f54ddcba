#include "qkv/generate/sampling.h"

#include "qkv/kernels/kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace qkv {
namespace {

// The largest that is a number; in lanes, which the compiler makes a vector of.
float highest(std::span<const float> scores) {
  constexpr size_t lanes = 16;
  float most[lanes];
  std::fill(most, most + lanes, -std::numeric_limits<float>::infinity());
  size_t i = 0;
  for (; i + lanes <= scores.size(); i += lanes)
    for (size_t j = 0; j < lanes; ++j) most[j] = scores[i + j] > most[j] ? scores[i + j] : most[j];
  for (; i < scores.size(); ++i) most[0] = std::max(most[0], scores[i]);
  return *std::max_element(most, most + lanes);
}

struct TokenShare {
  int32_t id;
  double p;
};

void renormalise(std::vector<TokenShare>& candidates) {
  double sum = 0;
  for (const TokenShare& c : candidates) sum += c.p;
  for (TokenShare& c : candidates) c.p /= sum;
}

// Keeps the shortest front part whose probabilities reach `mass`.
void keep_mass(std::vector<TokenShare>& candidates, double mass) {
  double sum = 0;
  size_t count = 0;
  while (count < candidates.size() && sum < mass) sum += candidates[count++].p;
  candidates.resize(std::max<size_t>(1, count));
  renormalise(candidates);
}

void keep_typical(std::vector<TokenShare>& candidates, double mass) {
  double entropy = 0;
  for (const TokenShare& c : candidates)
    if (c.p > 0) entropy -= c.p * std::log(c.p);
  const auto distance = [&](const TokenShare& c) { return std::abs(-std::log(c.p) - entropy); };
  std::stable_sort(candidates.begin(), candidates.end(),
                   [&](const TokenShare& a, const TokenShare& b) { return distance(a) < distance(b); });
  keep_mass(candidates, mass);
}

// softmax(logits / temperature), until the thread's next call.
std::span<const float> probabilities(std::span<const float> logits, float temperature) {
  thread_local std::vector<float> p;
  p.resize(logits.size());
  const float most = highest(logits);
  for (size_t i = 0; i < p.size(); ++i) p[i] = (logits[i] - most) / temperature;
  kernels::kernels_for(Device()).softmax({.rows = 1, .width = std::ssize(p), .x = p.data(), .y = p.data()});
  return p;
}

int32_t drawn_of_all(std::span<const float> p, double uniform) {
  double left = uniform * std::accumulate(p.begin(), p.end(), 0.0);
  int32_t last = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] <= 0) continue;
    last = static_cast<int32_t>(i);
    left -= p[i];
    if (left < 0) break;
  }
  return last;
}

// The k likeliest or, if fewer do, as many as reach `mass`: sorting a whole vocabulary for a handful of words would
// take longer than the model.
std::vector<TokenShare> likeliest_first(std::span<const float> logits, std::span<const float> p, size_t k,
                                        double mass) {
  std::vector<int32_t> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  const auto likelier = [&](int32_t a, int32_t b) {
    const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  };
  std::vector<TokenShare> candidates;
  double sum = 0;
  for (size_t end = mass > 1 ? k : std::min<size_t>(k, 128);; end = std::min(k, 8 * end)) {
    const auto at = [&](size_t place) { return order.begin() + static_cast<ptrdiff_t>(place); };
    std::partial_sort(at(candidates.size()), at(end), order.end(), likelier);
    while (candidates.size() < end) {
      const int32_t id = order[candidates.size()];
      candidates.push_back({id, p[static_cast<size_t>(id)]});
      sum += candidates.back().p;
      if (sum >= mass) return candidates;
    }
    if (end == k) return candidates;
  }
}

}  // namespace

int32_t argmax(std::span<const float> scores) {
  const float most = highest(scores);
  const auto found = std::find(scores.begin(), scores.end(), most);
  return found == scores.end() ? 0 : static_cast<int32_t>(found - scores.begin());
}

void to_log_probabilities(std::span<float> scores) {
  // Beside a large score, the logarithm's digits would be rounded away.
  const float most = highest(scores);
  for (float& score : scores) score -= most;
  kernels::kernels_for(Device()).softmax(
      {.rows = 1, .width = std::ssize(scores), .log = true, .x = scores.data(), .y = scores.data()});
}

float log_probability(std::span<const float> logits, int32_t token) {
  float loss = 0;
  kernels::kernels_for(Device()).cross_entropy({.rows = 1,
                                                .vocab = std::ssize(logits),
                                                .logits = logits.data(),
                                                .ld = std::ssize(logits),
                                                .targets = &token,
                                                .loss = &loss});
  return -loss;
}

int32_t sample_token(std::span<const float> logits, const GenerationOptions& o, double uniform) {
  const std::span<const float> p = probabilities(logits, o.temperature);
  const size_t k = o.top_k > 0 ? std::min(static_cast<size_t>(o.top_k), p.size()) : p.size();
  const bool sorted = k < p.size() || o.top_p < 1;
  if (!sorted && o.min_p <= 0 && o.typical_p >= 1) return drawn_of_all(p, uniform);
  std::vector<TokenShare> candidates;
  if (sorted) {
    candidates = likeliest_first(logits, p, k, k < p.size() ? 2 : o.top_p);
  } else {
    for (size_t i = 0; i < p.size(); ++i) candidates.push_back({static_cast<int32_t>(i), p[i]});
  }
  if (k < p.size()) renormalise(candidates);
  if (o.top_p < 1) keep_mass(candidates, o.top_p);
  if (o.min_p > 0) {
    double best = 0;
    for (const TokenShare& c : candidates) best = std::max(best, c.p);
    std::erase_if(candidates, [&](const TokenShare& c) { return c.p < o.min_p * best; });
    renormalise(candidates);
  }
  if (o.typical_p < 1) keep_typical(candidates, o.typical_p);
  double left = uniform;
  for (const TokenShare& c : candidates) {
    left -= c.p;
    if (left < 0) return c.id;
  }
  return candidates.back().id;
}

}  // namespace qkv
