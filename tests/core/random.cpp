// Counter-based random numbers: the published vectors, and what is built on them.
#include "qkv/core/random.h"

#include <cmath>
#include <set>

namespace qkv {
namespace {

using Words = std::array<uint32_t, 4>;

// The known answers that come with Random123 (Salmon et al. 2011) for philox4x32-10.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox({0, 0}, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~uint64_t{0}, ~uint64_t{0}}, ~uint64_t{0}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  // Digits of pi.
  EXPECT_EQ(philox({0x299f31d0a4093822, 0x0370734413198a2e}, 0x85a308d3243f6a88),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, ReadsTheBlocksInOrder) {
  const RandomKey key{7, 9};
  Random random(key);
  for (uint64_t block = 0; block < 3; ++block)
    for (const uint32_t word : philox(key, block)) EXPECT_EQ(random.bits(), word);
}

TEST(Random, TheSameKeyGivesTheSameSequence) {
  Random a({3, 4}), b({3, 4}), other({3, 5});
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const double x = a.normal();
    EXPECT_EQ(x, b.normal());
    differs = differs || x != other.normal();
  }
  EXPECT_TRUE(differs);
}

TEST(Random, ChildrenDifferFromEachOtherAndFromTheirParents) {
  std::set<uint64_t> streams = {0};
  for (uint64_t i = 0; i < 100; ++i)
    for (uint64_t j = 0; j < 100; ++j) streams.insert(RandomKey{1}.child(i).child(j).stream);
  EXPECT_EQ(streams.size(), 10'001U);
  EXPECT_EQ(RandomKey{42}.child(1).seed, 42U);
}

// Moments of n draws within six standard errors.
TEST(Random, UniformHasItsMeanAndVariance) {
  Random random({1, 2});
  constexpr int n = 100'000;
  double sum = 0, squares = 0;
  for (int i = 0; i < n; ++i) {
    const double u = random.uniform();
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
    squares += u * u;
  }
  EXPECT_NEAR(sum / n, 0.5, 6 * std::sqrt(1.0 / 12 / n));
  EXPECT_NEAR(squares / n, 1.0 / 3, 6 * std::sqrt(4.0 / 45 / n));
}

TEST(Random, NormalHasItsMoments) {
  Random random({5, 6});
  constexpr int n = 100'000;
  double sum = 0, squares = 0, fourths = 0;
  for (int i = 0; i < n; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
    fourths += x * x * x * x;
  }
  EXPECT_NEAR(sum / n, 0, 6 * std::sqrt(1.0 / n));
  EXPECT_NEAR(squares / n, 1, 6 * std::sqrt(2.0 / n));
  EXPECT_NEAR(fourths / n, 3, 6 * std::sqrt(96.0 / n));
}

TEST(Random, BelowIsEvenAndStaysBelow) {
  Random random({8, 8});
  std::array<int, 6> counts{};
  constexpr int n = 60'000;
  for (int i = 0; i < n; ++i) ++counts.at(random.below(6));
  for (const int count : counts) EXPECT_NEAR(count, n / 6, 6 * std::sqrt(n * 5.0 / 36));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(random.below(1), 0U);
  const uint64_t large = (uint64_t{1} << 63) + 1;
  for (int i = 0; i < 1000; ++i) EXPECT_LT(random.below(large), large);
}

TEST(DropoutHash, DropsTheShareThatWasAskedFor) {
  const uint32_t key = dropout_key(RandomKey{1}.child(2));
  constexpr uint32_t n = 100'000;
  for (const double p : {0.1, 0.5}) {
    const uint32_t threshold = static_cast<uint32_t>(p * 4294967296.0);
    uint32_t dropped = 0;
    for (uint32_t i = 0; i < n; ++i) dropped += dropout_hash(key, i) < threshold ? 1 : 0;
    EXPECT_NEAR(dropped, n * p, 6 * std::sqrt(n * p * (1 - p)));
  }
}

TEST(DropoutHash, KeysGiveIndependentMasks) {
  const uint32_t a = dropout_key(RandomKey{1}.child(1)), b = dropout_key(RandomKey{1}.child(2));
  constexpr uint32_t n = 100'000, half = uint32_t{1} << 31;
  uint32_t same = 0;
  for (uint32_t i = 0; i < n; ++i) same += (dropout_hash(a, i) < half) == (dropout_hash(b, i) < half) ? 1 : 0;
  EXPECT_NEAR(same, n / 2, 6 * std::sqrt(n / 4.0));
}

}  // namespace
}  // namespace qkv
