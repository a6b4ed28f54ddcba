// Threads that wait for one another while there are too few processors for all.
#include "qkv/core/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace qkv {
namespace {

TEST(Waiting, ManyCallersAtOnceGetTheirSums) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(400);
  std::atomic<int64_t> regions = 0, wrong = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 6; ++i)
    callers.emplace_back([&] {
      inherit_threads();
      while (std::chrono::steady_clock::now() < end) {
        std::atomic<int64_t> sum = 0;
        parallel_for(1000, 1, [&](int64_t first, int64_t last) {
          int64_t part = 0;
          for (int64_t k = first; k < last; ++k) part += k;
          sum += part;
        });
        wrong += sum != 499'500;
        ++regions;
      }
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(regions, 32);  // or nobody would have looked whether the machine is busy
}

}  // namespace
}  // namespace qkv
