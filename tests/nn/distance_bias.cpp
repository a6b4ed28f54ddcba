// Buckets of distances, and the bias that they give.
#include "qkv/nn/distance_bias.h"

#include <set>

namespace qkv {
namespace {

TEST(DistanceBias, NearDistancesHaveABucketEach) {
  const DistanceBiasSpec spec{32, 128};
  for (int64_t d = 0; d < 16; ++d) EXPECT_EQ(distance_bucket(-d, false, spec), d);
  for (int64_t d = 1; d < 8; ++d) {
    EXPECT_EQ(distance_bucket(-d, true, spec), d);
    EXPECT_EQ(distance_bucket(d, true, spec), 16 + d);
  }
}

TEST(DistanceBias, FarDistancesShareTheLast) {
  const DistanceBiasSpec spec{32, 128};
  EXPECT_EQ(distance_bucket(-128, false, spec), 31);
  EXPECT_EQ(distance_bucket(-100000, false, spec), 31);
  EXPECT_EQ(distance_bucket(128, true, spec), 31);
  EXPECT_EQ(distance_bucket(-128, true, spec), 15);
  EXPECT_EQ(distance_bucket(7, false, spec), 0);  // what follows is not seen
  std::set<int32_t> used;
  for (int64_t d = 0; d < 128; ++d) used.insert(distance_bucket(-d, false, spec));
  EXPECT_EQ(used.size(), 32U);
}

TEST(DistanceBias, EntriesStandByDistance) {
  const DistanceBiasSpec spec{4, 8};
  std::vector<float> numbers(8);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
  const Tensor table = Tensor::from({4, 2}, numbers);
  const int64_t T = 2;
  const int64_t S = 5;
  const Tensor bias = distance_bias(table, T, S, true, spec);
  ASSERT_EQ(bias.shape(), (Shape{2, T + S - 1}));
  for (int64_t h = 0; h < 2; ++h)
    for (int64_t t = 0; t < T; ++t)
      for (int64_t s = 0; s < S; ++s) {
        const int64_t position = S - T + t;  // of the query among the keys
        EXPECT_EQ(bias.data<float>()[h * bias.size(1) + s - t + T - 1],
                  static_cast<float>(2 * distance_bucket(s - position, true, spec) + h));
      }
}

}  // namespace
}  // namespace qkv
