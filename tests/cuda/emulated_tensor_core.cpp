// The emulated tensor cores against the PTX manual's tables, by hand, and copies that have to be waited for.
#include "qkv/cuda/emulated/tensor_core.h"

#include <gtest/gtest.h>

namespace qkv::cuda::emulated {
namespace {

// As the device's types are turned into f32 by kernels.
struct Upper {
  uint16_t bits;
  explicit operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
};
constexpr uint32_t one = 0x3f80;  // the upper half of 1.0F

void run_warp(const std::function<void(unsigned lane)>& body) {
  run("warp", {1, 1, 1}, 32, 0, [&] { body(thread_place.x); });
}

TEST(EmulatedTensorCore, ElementsStandInTheLanesOfTheManual) {
  float sums[32][4] = {};
  run_warp([&](unsigned lane) {
    uint32_t a[4] = {};
    uint32_t b[2] = {};
    if (lane == 5) a[3] = one << 16;   // A(9, 11): a7 of group 1, thread 1
    if (lane == 17) b[1] = one << 16;  // B(11, 4): b3 of group 4, thread 1
    if (lane == 2) a[0] = one;         // A(0, 4): a0 of group 0, thread 2
    if (lane == 30) b[0] = one;        // B(4, 7): b0 of group 7, thread 2
    sums[lane][0] = 10;
    mma_m16n8k16<Upper>(sums[lane], a, b[0], b[1]);
  });
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned i = 0; i < 4; ++i) {
      const bool first = lane == 6 && i == 2;   // C(9, 4): c2 of group 1, thread 2
      const bool second = lane == 3 && i == 1;  // C(0, 7): c1 of group 0, thread 3
      EXPECT_EQ(sums[lane][i], (i == 0 ? 10 : 0) + (first || second ? 1 : 0)) << lane << " " << i;
    }
}

TEST(EmulatedTensorCore, MatricesAreReadByRowsOrTurned) {
  alignas(16) uint16_t memory[32][8];
  for (unsigned r = 0; r < 32; ++r)
    for (unsigned c = 0; c < 8; ++c) memory[r][c] = static_cast<uint16_t>(100 * (r / 8) + 10 * (r % 8) + c);
  uint32_t rows[4], turned[4];
  run_warp([&](unsigned lane) {
    uint32_t a[4], b[4];
    ldmatrix_x4(a, memory[lane], false);
    ldmatrix_x4(b, memory[lane], true);
    if (lane != 13) return;
    std::copy_n(a, 4, rows);
    std::copy_n(b, 4, turned);
  });
  for (unsigned m = 0; m < 4; ++m) {
    EXPECT_EQ(rows[m], (100 * m + 32) | (100 * m + 33) << 16);
    EXPECT_EQ(turned[m], (100 * m + 23) | (100 * m + 33) << 16);
  }
}

TEST(EmulatedTensorCore, CopiesArriveWhenTheyAreWaitedFor) {
  alignas(16) const int from[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  alignas(16) int to[12] = {0, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9};
  run("copy", {1, 1, 1}, 1, 0, [&] {
    cp_async_16(to, from, true);
    cp_async_commit();
    cp_async_16(to + 4, from + 4, true);
    cp_async_16(to + 8, nullptr, false);
    cp_async_commit();
    EXPECT_EQ(to[0], 0);
    cp_async_wait(1);
    EXPECT_EQ(to[3], 4);
    EXPECT_EQ(to[7], 0);
    cp_async_wait(0);
    EXPECT_EQ(to[7], 8);
    EXPECT_EQ(to[11], 0);
  });
}

}  // namespace
}  // namespace qkv::cuda::emulated
