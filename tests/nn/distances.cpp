#include "qkv/nn/distances.h"

#include <cmath>

namespace qkv {
namespace {

TEST(Distances, BucketsAreExactNearbyAndEndWhereTheyMust) {
  constexpr int64_t reach = 32, longest = 512;
  for (int64_t d = -16; d <= 16; ++d) EXPECT_EQ(log_bucket(d, reach, longest), d);
  for (int64_t d = 1; d < 600; ++d) {
    EXPECT_EQ(log_bucket(-d, reach, longest), -log_bucket(d, reach, longest));
    EXPECT_GE(log_bucket(d + 1, reach, longest), log_bucket(d, reach, longest));
  }
  EXPECT_EQ(log_bucket(longest - 1, reach, longest), reach - 1);
}

TEST(Distances, SinusoidsStandAtTheirDistances) {
  const Distances distances(6, {.clamp = 3});
  const auto inputs = distances(2, 5, false, true, {});
  const std::vector<float> table = inputs.table().to_vector<float>();
  const std::vector<int32_t> places = inputs.places.to_vector<int32_t>();
  ASSERT_EQ(inputs.places.shape(), (Shape{1, 3, 5}));
  for (int64_t t = 0; t < 3; ++t)
    for (int64_t s = 0; s < 5; ++s) {
      const double distance = std::clamp<double>(static_cast<double>(3 + t - s), -3, 3);
      const size_t row = static_cast<size_t>(places[static_cast<size_t>(t * 5 + s)]) * 6;
      EXPECT_NEAR(table[row + 1], std::sin(distance * std::pow(10000.0, -2.0 / 6)), 1e-6) << t << " " << s;
      EXPECT_NEAR(table[row + 3], std::cos(distance), 1e-6) << t << " " << s;
    }
}

}  // namespace
}  // namespace qkv
