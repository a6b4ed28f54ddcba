// Packed weights of a model: what they are worth beside the matrix they came from.
#include "qkv/ops/packed.h"

#include "qkv/core/random.h"
#include "qkv/ops/linear.h"

#include <gtest/gtest.h>

#include <cmath>

namespace qkv {
namespace {

TEST(Packed, NumbersThatDoNotFitInFewerBitsGetMemoryOfTheirOwn) {
  constexpr int64_t n = 64, k = 256, bytes = 1 << 20;
  Random draw(RandomKey{5});
  for (const bool usual : {true, false}) {
    const Tensor weight = Tensor::empty({n, k}, DType::bf16);
    for (int64_t i = 0; i < n * k; ++i)
      weight.data<bf16>()[i] =
          bf16(std::ldexp(static_cast<float>(draw.normal()), usual ? -5 : static_cast<int>(i % 61) - 40));
    const Tensor x = Tensor::empty({1, k}, DType::bf16);
    for (int64_t i = 0; i < k; ++i) x.data<bf16>()[i] = bf16(static_cast<float>(draw.normal()));
    const std::shared_ptr<Storage> memory = Storage::allocate(bytes, Device());
    const Tensor packed = packed_in(memory, 64, weight, DType::bf16);
    const auto* at = static_cast<const char*>(packed.raw());
    EXPECT_EQ(at == static_cast<const char*>(memory->data()) + 64, usual);
    const std::vector<double> got = linear(x, packed, {}).to_vector<double>();
    const std::vector<double> want = linear(x, weight, {}).to_vector<double>();
    double most = 0;
    for (const double value : want) most = std::max(most, std::abs(value));
    for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 0.01 * most) << i;
  }
}

}  // namespace
}  // namespace qkv
