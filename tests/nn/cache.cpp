// The cache: what is appended comes back, rows follow their sources, states of other layers included.
#include "qkv/nn/cache.h"

#include "qkv/core/error.h"
#include "qkv/ops/copy.h"

#include <gtest/gtest.h>

#include <cmath>

namespace qkv {
namespace {

Tensor filled(const Shape& shape, float first) {
  std::vector<float> values;
  for (int64_t i = 0; i < shape.numel(); ++i) values.push_back(first + static_cast<float>(i));
  return Tensor::from(shape, values);
}

TEST(Cache, KeepsKeysAndValuesOfDifferentWidths) {
  KeyValueCache cache(2, 2, 3);
  cache.append(1, filled({2, 2, 1, 2}, 0), filled({2, 2, 1, 1}, 100));
  cache.advance(2);
  const KeyValueCache::View all = cache.append(1, filled({2, 1, 1, 2}, 50), filled({2, 1, 1, 1}, 200));
  EXPECT_EQ(all.keys.to_vector<float>(), (std::vector<float>{0, 1, 2, 3, 50, 51, 4, 5, 6, 7, 52, 53}));
  EXPECT_EQ(all.values.to_vector<float>(), (std::vector<float>{100, 101, 200, 102, 103, 201}));
  cache.advance(1);
  EXPECT_THROW(cache.append(1, filled({2, 1, 1, 2}, 0), filled({2, 1, 1, 1}, 0)), Error);
}

TEST(Cache, RowsFollowTheirSources) {
  KeyValueCache cache(2, 2, 4);
  cache.append(0, filled({2, 1, 1, 1}, 1), filled({2, 1, 1, 1}, 5));
  cache.advance(1);
  EXPECT_FALSE(cache.state(1, 0));
  cache.set_state(1, 1, filled({2, 3}, 10));
  cache.select_rows({1, 1, 0});
  EXPECT_EQ(cache.rows(), 3);
  EXPECT_FALSE(cache.state(1, 0));
  EXPECT_EQ(cache.state(1, 1).to_vector<float>(), (std::vector<float>{13, 14, 15, 13, 14, 15, 10, 11, 12}));
  const KeyValueCache::View all = cache.append(0, filled({3, 1, 1, 1}, 20), filled({3, 1, 1, 1}, 30));
  EXPECT_EQ(all.keys.to_vector<float>(), (std::vector<float>{2, 20, 2, 21, 1, 22}));
  EXPECT_EQ(all.values.to_vector<float>(), (std::vector<float>{6, 30, 6, 31, 5, 32}));
}

TEST(Cache, KeepsBlocksOfEightBits) {
  KeyValueCache cache(1, 2, 5, DType::q8_0);
  const Tensor k = filled({2, 3, 2, 32}, -40), v = filled({2, 3, 2, 64}, 7);
  cache.append(0, k.narrow(1, 0, 2), v.narrow(1, 0, 2));
  cache.advance(2);
  const KeyValueCache::View all = cache.append(0, k.narrow(1, 2, 1), v.narrow(1, 2, 1));
  cache.advance(1);
  EXPECT_EQ(all.keys.dtype(), DType::q8_0);
  const auto expect_near = [](const Tensor& got, const Tensor& want) {
    const Tensor plain = Tensor::empty(want.shape());
    copy_elements(got, plain);
    const std::vector<float> x = plain.to_vector<float>(), y = want.to_vector<float>();
    // Half a step of the block's scale, its largest / 127, which is a half of 11 bits itself.
    for (size_t i = 0; i < y.size(); ++i) {
      float largest = 0;
      for (size_t j = i / 32 * 32; j < i / 32 * 32 + 32; ++j) largest = std::max(largest, std::abs(y[j]));
      EXPECT_NEAR(x[i], y[i], largest * (0.5F / 127 + 1.0F / 2048)) << i;
    }
  };
  expect_near(all.keys, k);
  expect_near(all.values, v);
  cache.select_rows({1, 1, 0});
  const KeyValueCache::View again = cache.append(0, filled({3, 1, 2, 32}, 1), filled({3, 1, 2, 64}, 1));
  expect_near(again.keys.narrow(0, 2, 1).narrow(1, 0, 3), k.narrow(0, 0, 1));
  expect_near(again.values.narrow(0, 1, 1).narrow(1, 0, 3), v.narrow(0, 1, 1));
}

TEST(Cache, RowsOfOnePromptShareItsMemory) {
  KeyValueCache cache(1, 2, 4);
  cache.set_memory(0, {filled({2, 1, 1, 2}, 0), filled({2, 1, 1, 2}, 10)});
  cache.memory_mask = Tensor::from<uint8_t>({2, 1}, {1, 0});
  const void* before = cache.memory(0).keys.raw();
  cache.select_rows({0, 0, 1, 1});
  EXPECT_EQ(cache.memory(0).keys.raw(), before) << "two beams each: nothing to copy";
  cache.select_rows({1, 1, 3, 2});
  EXPECT_EQ(cache.memory(0).keys.raw(), before) << "beams change places within their prompt";
  cache.select_rows({3, 0, 3});
  EXPECT_EQ(cache.memory(0).keys.to_vector<float>(), (std::vector<float>{2, 3, 0, 1, 2, 3}));
  EXPECT_EQ(cache.memory(0).values.to_vector<float>(), (std::vector<float>{12, 13, 10, 11, 12, 13}));
  EXPECT_EQ(cache.memory_mask.to_vector<uint8_t>(), (std::vector<uint8_t>{0, 1, 0}));
}

}  // namespace
}  // namespace qkv
