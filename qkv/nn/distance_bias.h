// T5's positions: a learned number for each head and bucket of distances, added to the scores (Raffel et al. 2019,
// arXiv 1910.10683).
#pragma once

#include "qkv/tensor/tensor.h"

#include <cstdint>

namespace qkv {

struct DistanceBiasSpec {
  int64_t buckets = 32;
  int64_t max_distance = 128;  // all that is farther falls into the last bucket
};

// The bucket of a key that stands `distance` positions behind (> 0: after) its query. Half of them hold one distance
// each, the others grow with its logarithm. Both ways, keys after the query have the upper half of all buckets; else
// they count as distance 0.
int32_t distance_bucket(int64_t distance, bool both_ways, const DistanceBiasSpec& spec);

// What attention() takes as distances: f32 [H, T + S - 1] out of the table [buckets, H], for T queries at the end of S
// keys.
Tensor distance_bias(const Tensor& table, int64_t queries, int64_t keys, bool both_ways, const DistanceBiasSpec& spec);

}  // namespace qkv
