// The emulated device: barriers, warps, orders, and memory that the host must not touch.
#include "qkv/core/error.h"
#include "qkv/cuda/emulated/threads.h"
#include "qkv/cuda/runtime.h"

#include <gtest/gtest.h>

#include <numeric>

namespace qkv::cuda {
namespace {

TEST(EmulatedDevice, EveryThreadOfEveryBlockRunsOnce) {
  std::vector<int> runs(2 * 3 * 4 * 5, 0);
  emulated::run("count", {4, 3, 2}, 5, 0, [&] {
    using namespace emulated;
    ++runs[((block_place.z * 3 + block_place.y) * 4 + block_place.x) * 5 + thread_place.x];
  });
  EXPECT_EQ(runs, std::vector<int>(runs.size(), 1));
}

TEST(EmulatedDevice, BarriersKeepThreadsTogether) {
  const unsigned threads = 100;
  std::vector<int> sums;
  emulated::run("sum", {3, 1, 1}, threads, threads * sizeof(int), [&] {
    int* shared = static_cast<int*>(emulated::shared_memory());
    const unsigned i = emulated::thread_place.x;
    shared[i] = static_cast<int>(i);
    emulated::wait_for_block();
    const int sum = std::accumulate(shared, shared + threads, 0);
    emulated::wait_for_block();
    shared[i] = sum;
    emulated::wait_for_block();
    if (i == 0) sums.push_back(std::accumulate(shared, shared + threads, 0));
  });
  EXPECT_EQ(sums, std::vector<int>(3, 4950 * 100));
}

TEST(EmulatedDevice, OrdersFollowFromTheSeed) {
  const auto order = [](uint64_t seed) {
    std::vector<unsigned> places;
    emulated::set_seed(seed);
    emulated::run("order", {3, 1, 1}, 8, 0,
                  [&] { places.push_back(8 * emulated::block_place.x + emulated::thread_place.x); });
    return places;
  };
  EXPECT_EQ(order(1), order(1));
  EXPECT_NE(order(1), order(2));
}

TEST(EmulatedDevice, LanesOfAWarpShowEachOtherValues) {
  std::vector<unsigned> got(64);
  emulated::run("share", {1, 1, 1}, 64, 0, [&] {
    const unsigned i = emulated::thread_place.x, lane = i % 32;
    unsigned value = i;
    for (unsigned step = 16; step > 0; step /= 2) {
      const std::byte* slots = emulated::share_in_warp(0xffffffffU, &value, sizeof value);
      value += *reinterpret_cast<const unsigned*>(slots + (lane ^ step) * emulated::largest_share);
    }
    got[i] = value;
  });
  for (unsigned i = 0; i < 64; ++i) EXPECT_EQ(got[i], i < 32 ? 496U : 1520U);
}

TEST(EmulatedDevice, ThreadsThatNeverMeetAreAnError) {
  const auto run = [](const std::function<void()>& kernel) { emulated::run("torn", {1, 1, 1}, 64, 0, kernel); };
  EXPECT_THROW(run([] {
                 if (emulated::thread_place.x < 4) emulated::wait_for_block();
               }),
               Error);
  EXPECT_THROW(run([] {
                 if (emulated::thread_place.x != 3) emulated::share_in_warp(0xffffffffU, nullptr, 0);
               }),
               Error);
  EXPECT_NO_THROW(run([] { emulated::wait_for_block(); }));  // the device works on
}

TEST(EmulatedDevice, MemoryIsNotForTheHost) {
  int* memory = static_cast<int*>(allocate(sizeof(int)));
  int value = 5;
  copy_to_device(memory, &value, sizeof value);
  emulated::run("increase", {1, 1, 1}, 1, 0, [&] { ++*memory; });
  copy_to_host(&value, memory, sizeof value);
  EXPECT_EQ(value, 6);
  EXPECT_DEATH(*memory = 7, "");
  release(memory, sizeof(int));
}

}  // namespace
}  // namespace qkv::cuda
