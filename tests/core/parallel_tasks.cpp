#include "qkv/core/parallel_tasks.h"

#include "tests/core/with_threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace qkv {
namespace {

TEST(ParallelTasks, EveryIndexIsDoneOnce) {
  const WithThreads some(4);
  for (const int64_t count : {0, 1, 3, 4, 5, 100, 4099})
    for (const int64_t grain : {1, 7, 5000}) {
      std::vector<std::atomic<int>> done(static_cast<size_t>(count));
      parallel_tasks(count, grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) ++done[static_cast<size_t>(i)];
      });
      for (const auto& times : done) ASSERT_EQ(times.load(), 1) << count << " by " << grain;
    }
}

TEST(ParallelTasks, OneThreadMayThrow) {
  const WithThreads some(3);
  EXPECT_THROW(parallel_tasks(100, 1,
                              [](int64_t begin, int64_t end) {
                                if (begin <= 50 && 50 < end) throw std::runtime_error("fifty");
                              }),
               std::runtime_error);
}

TEST(WorkShares, AShareIsTakenFromTheFront) {
  WorkShares shares(1000, 2, 10);
  int64_t next[] = {0, 500};
  for (int round = 0; round < 4; ++round)
    for (const int64_t part : {0, 1}) {
      const WorkShares::Range piece = shares.take(part);
      EXPECT_EQ(piece.begin, next[part]);
      EXPECT_GE(piece.end - piece.begin, 10);
      next[part] = piece.end;
    }
}

TEST(WorkShares, WhatAnotherHasNotBegunIsTakenOver) {
  WorkShares shares(1000, 2, 1);
  const WorkShares::Range first = shares.take(1);
  const int64_t held = first.end - first.begin;
  int64_t done = 0;
  EXPECT_LE(held, 125);
  for (WorkShares::Range piece = shares.take(0); piece.begin < piece.end; piece = shares.take(0))
    done += piece.end - piece.begin;
  EXPECT_EQ(held + done, 1000);
  const WorkShares::Range none = shares.take(1);
  EXPECT_EQ(none.begin, none.end);
}

TEST(WorkShares, ManyTakeAtOnce) {
  constexpr int parts = 4;
  constexpr int64_t count = 20000;
  for (int round = 0; round < 20; ++round) {
    WorkShares shares(count, parts, 1);
    std::vector<std::atomic<int>> done(count);
    std::vector<std::thread> takers;
    for (int p = 0; p < parts; ++p)
      takers.emplace_back([&, p] {
        for (WorkShares::Range piece = shares.take(p); piece.begin < piece.end; piece = shares.take(p))
          for (int64_t i = piece.begin; i < piece.end; ++i) ++done[static_cast<size_t>(i)];
      });
    for (std::thread& taker : takers) taker.join();
    for (const auto& times : done) ASSERT_EQ(times.load(), 1);
  }
}

}  // namespace
}  // namespace qkv
