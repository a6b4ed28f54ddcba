// Reading and writing of scattered numbers: nothing for vectors to do, so one version serves every instruction set.
#include "qkv/core/threads.h"
#include "qkv/kernels/cpu/cpu.h"

namespace qkv::kernels::cpu_set {
namespace {

constexpr float hidden = -1e30F;

// The scores of one head of a row of the batch: row r begins at data + r * stride.
template <typename T>
struct Scores {
  T* data;
  int64_t stride;
};

template <typename T>
Scores<T> scores_of(const RelativeBias& a, T* data, int64_t b, int64_t h) {
  const int64_t rows = a.by_key ? a.keys : a.queries;
  return {data + (b * rows * a.heads + h) * a.positions, a.heads * a.positions};
}

// Calls body(b, h) for every head; a head's scores and its part of the bias belong to one thread.
template <typename Body>
void for_each_head(const RelativeBias& a, Body&& body) {
  parallel_for(a.batch * a.heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t pair = begin; pair < end; ++pair) body(pair / a.heads, pair % a.heads);
  });
}

}  // namespace

void relative_bias(const RelativeBias& a) {
  for_each_head(a, [&](int64_t b, int64_t h) {
    const Scores<const float> scores = scores_of(a, a.scores, b, h);
    for (int64_t t = 0; t < a.queries; ++t) {
      const int32_t* places = a.places + b * a.places_batch_stride + t * a.keys;
      float* bias = a.bias + ((b * a.heads + h) * a.queries + t) * a.keys;
      const float* row = scores.data + (a.by_key ? 0 : t * scores.stride);
      const int64_t step = a.by_key ? scores.stride : 0;
      for (int64_t s = 0; s < a.keys; ++s) {
        const float value = places[s] < 0 ? hidden : a.scale * row[s * step + places[s]];
        bias[s] = a.accumulate ? bias[s] + value : value;
      }
    }
  });
}

void relative_bias_backward(const RelativeBiasBackward& g) {
  const RelativeBias& a = g.forward;
  for_each_head(a, [&](int64_t b, int64_t h) {
    const Scores<float> dscores = scores_of(a, g.dscores, b, h);
    const int64_t rows = a.by_key ? a.keys : a.queries;
    for (int64_t r = 0; r < rows; ++r)
      std::fill(dscores.data + r * dscores.stride, dscores.data + r * dscores.stride + a.positions, 0.0F);
    for (int64_t t = 0; t < a.queries; ++t) {
      const int32_t* places = a.places + b * a.places_batch_stride + t * a.keys;
      const float* dbias = g.dbias + ((b * a.heads + h) * a.queries + t) * a.keys;
      float* row = dscores.data + (a.by_key ? 0 : t * dscores.stride);
      const int64_t step = a.by_key ? dscores.stride : 0;
      for (int64_t s = 0; s < a.keys; ++s)
        if (places[s] >= 0) row[s * step + places[s]] += a.scale * dbias[s];
    }
  });
}

}  // namespace qkv::kernels::cpu_set
