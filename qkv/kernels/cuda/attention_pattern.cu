#include "qkv/kernels/cuda/attention/rows.h"
#include "qkv/kernels/cuda/attention/scores.h"
#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/reduce.h"

namespace qkv::kernels::cuda_set {
namespace {

constexpr int threads = 128;

// One query of one head: its scores stand in the result until they are probabilities.
__global__ void __launch_bounds__(threads) pattern_row(const __grid_constant__ AttentionPattern g) {
  const Attention& a = g.forward;
  const int t = static_cast<int>(blockIdx.x % a.queries);
  const int h = static_cast<int>(blockIdx.x / a.queries % a.heads);
  const int b = static_cast<int>(blockIdx.x / a.queries / a.heads);
  const HeadRows q = query_rows(a, a.q, b, h);
  const HeadRows k = key_rows(a, a.k, b, h / static_cast<int>(a.heads / a.kv_heads));
  const Scores scores(a, b, h);
  float* const row = g.pattern + blockIdx.x * a.keys;
  float* const query = dynamic_shared<float>();
  for (int d = static_cast<int>(threadIdx.x); d < a.head_dim; d += threads) query[d] = q.number(q.offset(t) + d);
  __syncthreads();

  float own_most = unseen;
  for (int s = static_cast<int>(threadIdx.x); s < a.keys; s += threads) {
    float dot = 0;
    if (scores.sees(t, s)) {
      const int64_t key = k.offset(s);
      for (int d = 0; d < a.head_dim; ++d) dot = fmaf(query[d], k.number(key + d), dot);
    }
    row[s] = scores.score(dot, t, s);
    own_most = fmaxf(own_most, row[s]);
  }
  const float most = reduce<threads>(own_most, Largest());
  const float shift = most == unseen ? 0 : most;
  float own_total = 0;
  for (int s = static_cast<int>(threadIdx.x); s < a.keys; s += threads) own_total += exp_of(row[s] - shift);
  const float total = reduce<threads>(own_total, Add());
  for (int s = static_cast<int>(threadIdx.x); s < a.keys; s += threads)
    row[s] = total > 0 ? exp_of(row[s] - shift) / total : 0;
}

}  // namespace

void attention_pattern(const AttentionPattern& g) {
  const Attention& a = g.forward;
  launch("attention_pattern", pattern_row, {a.batch * a.heads * a.queries}, threads,
         static_cast<size_t>(a.head_dim) * sizeof(float), g);
}

}  // namespace qkv::kernels::cuda_set
