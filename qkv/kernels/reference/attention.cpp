#include "qkv/core/random.h"
#include "qkv/kernels/blocks.h"
#include "qkv/kernels/on_host.h"
#include "qkv/kernels/reference/element.h"
#include "qkv/kernels/reference/reference.h"

#include <cmath>
#include <limits>
#include <vector>

namespace qkv::kernels::reference_set {
namespace {

struct Place {
  int64_t b, h, t;
};

template <typename H>
int64_t offset(const H& x, int64_t b, int64_t t, int64_t h) {
  return b * x.batch_stride + t * x.time_stride + h * x.head_stride;
}

// Where a head of key or value s stands.
int64_t key_offset(const Attention& a, const ConstHeads& x, int64_t b, int64_t s, int64_t h) {
  if (a.pages == nullptr) return offset(x, b, s, h);
  return offset(x, a.pages[s / a.page_size], s % a.page_size, h);
}

// Number `i` of keys or values.
double load_kv(const Attention& a, const ConstHeads& x, int64_t i) {
  if (a.kv_type != DType::q8_0) return load(x.data, a.kv_type, i);
  const BlockQ8_0& block = static_cast<const BlockQ8_0*>(x.data)[i / 32];
  return static_cast<double>(static_cast<float>(block.d)) * block.codes[i % 32];
}

int64_t kv_head(const Attention& a, int64_t h) { return h / (a.heads / a.kv_heads); }

bool sees(const Attention& a, const Place& p, int64_t s) {
  const int64_t position = p.t + a.keys - a.queries;
  if (a.causal && s > position) return false;
  if (a.window > 0 && s >= a.always && (s <= position - a.window || s >= position + a.window)) return false;
  return a.key_mask == nullptr || a.key_mask[p.b * a.keys + s] != 0;
}

int64_t bias_place(const Attention& a, const Place& p, int64_t s) {
  return p.b * a.bias_batch_stride + p.h * a.bias_head_stride + p.t * a.bias_query_stride + s * a.bias_key_stride;
}

// The scaled, biased scores of one query; -inf where it sees nothing. `caps` (may be null) receives the derivative of
// each score by its uncapped value.
std::vector<double> scores_of(const Attention& a, const Place& p, std::vector<double>* caps = nullptr) {
  std::vector<double> scores(static_cast<size_t>(a.keys), -std::numeric_limits<double>::infinity());
  const int64_t q = offset(a.q, p.b, p.t, p.h);
  for (int64_t s = 0; s < a.keys; ++s) {
    if (!sees(a, p, s)) continue;
    const int64_t k = key_offset(a, a.k, p.b, s, kv_head(a, p.h));
    double dot = 0;
    for (int64_t d = 0; d < a.head_dim; ++d) dot += load(a.q.data, a.type, q + d) * load_kv(a, a.k, k + d);
    double score = a.scale * dot;
    if (a.softcap > 0) {
      const double capped = std::tanh(score / a.softcap);
      score = a.softcap * capped;
      if (caps != nullptr) (*caps)[static_cast<size_t>(s)] = 1 - capped * capped;
    }
    if (a.bias != nullptr) score += a.bias[bias_place(a, p, s)];
    if (a.slopes != nullptr) score += a.slopes[p.h] * static_cast<double>(s - (p.t + a.keys - a.queries));
    scores[static_cast<size_t>(s)] = score;
  }
  return scores;
}

// Turns scores into probabilities; returns log sum exp, or 0 when nothing is seen (then all are 0).
double normalise(std::vector<double>& scores) {
  double highest = -std::numeric_limits<double>::infinity();
  for (const double score : scores) highest = std::max(highest, score);
  if (std::isinf(highest)) {
    scores.assign(scores.size(), 0);
    return 0;
  }
  double sum = 0;
  for (const double score : scores) sum += std::exp(score - highest);
  const double logsumexp = highest + std::log(sum);
  for (double& score : scores) score = std::exp(score - logsumexp);
  return logsumexp;
}

// What dropout multiplies the probability of key s with.
double kept(const Attention& a, const Place& p, int64_t s) {
  if (a.dropout == 0) return 1;
  const int64_t index = ((p.b * a.heads + p.h) * a.queries + p.t) * a.keys + s;
  const bool dropped =
      dropout_hash(a.dropout_key(), static_cast<uint32_t>(index)) < static_cast<double>(a.dropout) * 0x1p32;
  return dropped ? 0 : 1 / (1 - static_cast<double>(a.dropout));
}

template <typename Body>
void for_each_query(const Attention& a, Body&& body) {
  for (int64_t b = 0; b < a.batch; ++b)
    for (int64_t h = 0; h < a.heads; ++h)
      for (int64_t t = 0; t < a.queries; ++t) body(Place{b, h, t});
}

void attend(const Attention& a) {
  for_each_query(a, [&](const Place& p) {
    std::vector<double> weights = scores_of(a, p);
    const double logsumexp = normalise(weights);
    if (a.logsumexp != nullptr) a.logsumexp[(p.b * a.heads + p.h) * a.queries + p.t] = static_cast<float>(logsumexp);
    for (int64_t d = 0; d < a.head_dim; ++d) {
      double sum = 0;
      for (int64_t s = 0; s < a.keys; ++s)
        if (weights[static_cast<size_t>(s)] != 0)
          sum += weights[static_cast<size_t>(s)] * kept(a, p, s) *
                 load_kv(a, a.v, key_offset(a, a.v, p.b, s, kv_head(a, p.h)) + d);
      store(a.out.data, a.type, offset(a.out, p.b, p.t, p.h) + d, sum);
    }
  });
}

}  // namespace

void attention(const Attention& a) {
  if (!has_own_keys(a)) return attend(a);
  for (const Attention& row : rows_of(a)) attend(row);
}

void attention_each(std::span<const Attention> all) {
  for (const Attention& a : all) attention(a);
}

void attention_backward(const AttentionBackward& g) {
  const Attention& a = g.forward;
  const auto dense = [&](int64_t time, int64_t heads) {
    return std::vector<double>(static_cast<size_t>(a.batch * time * heads * a.head_dim), 0.0);
  };
  std::vector<double> dq = dense(a.queries, a.heads);
  std::vector<double> dk = dense(a.keys, a.kv_heads);
  std::vector<double> dv = dense(a.keys, a.kv_heads);
  for_each_query(a, [&](const Place& p) {
    std::vector<double> caps(static_cast<size_t>(a.keys), 1.0);
    std::vector<double> weights = scores_of(a, p, &caps);
    normalise(weights);
    const int64_t dout = offset(g.dout, p.b, p.t, p.h);
    const int64_t q = offset(a.q, p.b, p.t, p.h);
    const size_t dq_row = static_cast<size_t>(((p.b * a.queries + p.t) * a.heads + p.h) * a.head_dim);
    std::vector<double> dweight(weights.size(), 0);
    double total = 0;
    for (int64_t s = 0; s < a.keys; ++s) {
      const size_t i = static_cast<size_t>(s);
      if (weights[i] == 0) continue;
      const double keep = kept(a, p, s);
      const int64_t v = offset(a.v, p.b, s, kv_head(a, p.h));
      const size_t row = static_cast<size_t>(((p.b * a.keys + s) * a.kv_heads + kv_head(a, p.h)) * a.head_dim);
      for (int64_t d = 0; d < a.head_dim; ++d) {
        const double go = load(g.dout.data, a.type, dout + d);
        dv[row + static_cast<size_t>(d)] += weights[i] * keep * go;
        dweight[i] += keep * go * load(a.v.data, a.type, v + d);
      }
      total += weights[i] * dweight[i];
    }
    for (int64_t s = 0; s < a.keys; ++s) {
      const size_t i = static_cast<size_t>(s);
      if (weights[i] == 0) continue;
      double dscore = weights[i] * (dweight[i] - total);
      if (g.dbias != nullptr) g.dbias[bias_place(a, p, s)] += static_cast<float>(dscore);
      dscore *= caps[i];
      const int64_t k = offset(a.k, p.b, s, kv_head(a, p.h));
      const size_t row = static_cast<size_t>(((p.b * a.keys + s) * a.kv_heads + kv_head(a, p.h)) * a.head_dim);
      for (int64_t d = 0; d < a.head_dim; ++d) {
        dq[dq_row + static_cast<size_t>(d)] += a.scale * dscore * load(a.k.data, a.type, k + d);
        dk[row + static_cast<size_t>(d)] += a.scale * dscore * load(a.q.data, a.type, q + d);
      }
    }
  });
  const auto write = [&](const std::vector<double>& from, const Heads& to, int64_t time, int64_t heads) {
    size_t at = 0;
    for (int64_t b = 0; b < a.batch; ++b)
      for (int64_t t = 0; t < time; ++t)
        for (int64_t h = 0; h < heads; ++h)
          for (int64_t d = 0; d < a.head_dim; ++d) store(to.data, a.type, offset(to, b, t, h) + d, from[at++]);
  };
  write(dq, g.dq, a.queries, a.heads);
  write(dk, g.dk, a.keys, a.kv_heads);
  write(dv, g.dv, a.keys, a.kv_heads);
}

void attention_pattern(const AttentionPattern& g) {
  float* out = g.pattern;
  for_each_query(g.forward, [&](const Place& p) {
    std::vector<double> weights = scores_of(g.forward, p);
    normalise(weights);
    for (const double weight : weights) *out++ = static_cast<float>(weight);
  });
}

void rotary(const Rotary& a) {
  const int64_t half = a.rotary_dim / 2;
  for (int64_t b = 0; b < a.batch; ++b)
    for (int64_t t = 0; t < a.time; ++t)
      for (int64_t h = 0; h < a.heads; ++h) {
        const int64_t from = offset(a.x, b, t, h);
        const int64_t to = offset(a.out, b, t, h);
        const int64_t angle = a.positions[b * a.time + t] * half;
        for (int64_t i = 0; i < half; ++i) {
          const int64_t first = a.interleaved ? 2 * i : i;
          const int64_t second = a.interleaved ? 2 * i + 1 : i + half;
          const double x = load(a.x.data, a.type, from + first);
          const double y = load(a.x.data, a.type, from + second);
          const double c = a.cosine[angle + i];
          const double s = a.inverse ? -a.sine[angle + i] : a.sine[angle + i];
          store(a.out.data, a.type, to + first, x * c - y * s);
          store(a.out.data, a.type, to + second, x * s + y * c);
        }
        for (int64_t d = a.rotary_dim; d < a.head_dim; ++d)
          store(a.out.data, a.type, to + d, load(a.x.data, a.type, from + d));
      }
}

}  // namespace qkv::kernels::reference_set
