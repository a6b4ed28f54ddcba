#include "qkv/nn/distance_bias.h"

#include "qkv/ops/embedding.h"
#include "qkv/ops/shape.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace qkv {

int32_t distance_bucket(int64_t distance, bool both_ways, const DistanceBiasSpec& spec) {
  const int64_t buckets = both_ways ? spec.buckets / 2 : spec.buckets;
  const int64_t first = both_ways && distance > 0 ? buckets : 0;
  const int64_t away = both_ways ? std::abs(distance) : std::max<int64_t>(0, -distance);
  const int64_t exact = buckets / 2;
  if (away < exact) return static_cast<int32_t>(first + away);
  // In f32, as checkpoints were trained: rounding decides at the edges.
  const float share = std::log(static_cast<float>(away) / static_cast<float>(exact)) /
                      static_cast<float>(std::log(static_cast<double>(spec.max_distance) / static_cast<double>(exact)));
  const int64_t far = exact + static_cast<int64_t>(share * static_cast<float>(buckets - exact));
  return static_cast<int32_t>(first + std::min(far, buckets - 1));
}

Tensor distance_bias(const Tensor& table, int64_t queries, int64_t keys, bool both_ways, const DistanceBiasSpec& spec) {
  // Entry j is of distance j - keys + 1: key 0 as the last query sees it comes first.
  std::vector<int32_t> buckets;
  for (int64_t j = 0; j < queries + keys - 1; ++j) buckets.push_back(distance_bucket(j - keys + 1, both_ways, spec));
  const Shape shape{static_cast<int64_t>(buckets.size())};
  return transpose(embedding(Tensor::from(shape, buckets), table, DType::f32), 0, 1);
}

}  // namespace qkv
