#include "qkv/tasks/batches.h"

#include "qkv/tasks/windows.h"

#include <algorithm>
#include <set>

namespace qkv {
namespace {

TEST(BatchesByLength, EachRowOnceWithinTheBudget) {
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < 500; ++i) lengths.push_back(1 + i * 7919 % 300);
  const auto batches = batches_by_length(lengths, 1000);
  std::set<size_t> seen;
  int64_t real = 0, padded = 0;
  for (const auto& batch : batches) {
    int64_t longest = 0;
    for (const size_t row : batch) {
      EXPECT_TRUE(seen.insert(row).second);
      longest = std::max(longest, lengths[row]);
      real += lengths[row];
    }
    EXPECT_EQ(longest, lengths[batch.front()]);
    EXPECT_LE(longest * std::ssize(batch), 1000);
    padded += longest * std::ssize(batch);
  }
  EXPECT_EQ(seen.size(), lengths.size());
  EXPECT_LT(padded, real * 11 / 10);
}

TEST(BatchesByLength, ALongRowStandsAlone) {
  const std::vector<int64_t> lengths = {3, 5000, 4, 2};
  const std::vector<std::vector<size_t>> expected = {{1}, {2, 0, 3}};
  EXPECT_EQ(batches_by_length(lengths, 100), expected);
  EXPECT_TRUE(batches_by_length({}, 100).empty());
}

TEST(BatchesByLength, FewRowsOfManyLengthsArePaddedLittle) {
  // Enough tokens keep the machine busy; beyond that a shorter row begins a batch of its own.
  const std::vector<int64_t> lengths = {512, 100, 90};
  const std::vector<std::vector<size_t>> expected = {{0}, {1, 2}};
  EXPECT_EQ(batches_by_length(lengths, 4096), expected);
}

TEST(Windows, CoverAndOverlap) {
  using Windows = std::vector<std::pair<int64_t, int64_t>>;
  EXPECT_EQ(windows_over(10, 4, 1), (Windows{{0, 4}, {3, 7}, {6, 10}}));
  EXPECT_EQ(windows_over(11, 4, 1), (Windows{{0, 4}, {3, 7}, {6, 10}, {9, 11}}));
  EXPECT_EQ(windows_over(4, 4, 3), (Windows{{0, 4}}));
  EXPECT_EQ(windows_over(5, 4, 0), (Windows{{0, 4}, {4, 5}}));
}

}  // namespace
}  // namespace qkv
