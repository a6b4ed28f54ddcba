#include "qkv/data/order.h"

#include <gtest/gtest.h>

#include <set>

namespace qkv {
namespace {

std::vector<int64_t> epoch_of(const Order& order, int64_t items, int64_t epoch) {
  std::vector<int64_t> visited;
  for (int64_t i = 0; i < items; ++i) visited.push_back(order(epoch * items + i));
  return visited;
}

TEST(Permutation, IsABijection) {
  for (const int64_t size : {1, 2, 3, 4, 5, 7, 16, 17, 63, 64, 65, 1000, 4097, 65'536}) {
    std::vector<bool> seen(static_cast<size_t>(size));
    const Permutation permutation(size, {7, static_cast<uint64_t>(size)});
    for (int64_t i = 0; i < size; ++i) {
      const int64_t to = permutation(i);
      ASSERT_TRUE(to >= 0 && to < size);
      ASSERT_FALSE(seen[static_cast<size_t>(to)]);
      seen[static_cast<size_t>(to)] = true;
    }
  }
}

TEST(Permutation, StaysInsideAVastDomain) {
  const int64_t size = (int64_t{1} << 40) + 1;
  const Permutation permutation(size, {1, 2});
  std::set<int64_t> seen;
  for (int64_t i = 0; i < 1000; ++i) seen.insert(permutation(size - 1 - i));
  EXPECT_EQ(seen.size(), 1000U);
  EXPECT_GE(*seen.begin(), 0);
  EXPECT_LT(*seen.rbegin(), size);
}

// Each item lands on each place about equally often (chi-squared, 99.99 % quantile of 255 degrees is 346).
TEST(Permutation, IsUniform) {
  constexpr int64_t size = 16;
  constexpr int draws = 4000;
  std::vector<double> count(size * size);
  for (uint64_t key = 0; key < draws; ++key) {
    const Permutation permutation(size, RandomKey{3, 0}.child(key));
    for (int64_t i = 0; i < size; ++i) count[static_cast<size_t>(i * size + permutation(i))] += 1;
  }
  double chi = 0;
  for (const double seen : count) chi += (seen - draws / 16.0) * (seen - draws / 16.0) / (draws / 16.0);
  EXPECT_LT(chi, 346);
}

TEST(Order, ShufflesEachEpochAnew) {
  const Order order = Order::shuffled(100, {5, 0});
  std::set<std::vector<int64_t>> epochs;
  for (int64_t epoch = 0; epoch < 5; ++epoch) {
    const std::vector<int64_t> visited = epoch_of(order, 100, epoch);
    EXPECT_EQ(std::set<int64_t>(visited.begin(), visited.end()).size(), 100U);
    epochs.insert(visited);
  }
  EXPECT_EQ(epochs.size(), 5U);
  EXPECT_EQ(epoch_of(Order::shuffled(100, {5, 0}), 100, 3), epoch_of(order, 100, 3));
  EXPECT_NE(epoch_of(Order::shuffled(100, {6, 0}), 100, 3), epoch_of(order, 100, 3));
}

TEST(Order, InTurnSpreadsItsLimit) {
  EXPECT_EQ(epoch_of(Order::in_turn(4), 4, 0), (std::vector<int64_t>{0, 1, 2, 3}));
  const Order few = Order::in_turn(100, 4);
  EXPECT_EQ(few.samples(), 4);
  EXPECT_EQ(epoch_of(few, 4, 0), (std::vector<int64_t>{0, 25, 50, 75}));
  EXPECT_EQ(Order::in_turn(3, 10).samples(), 3);
}

}  // namespace
}  // namespace qkv
