// Operations and their gradients in 16-bit types, beside the same in f32.
#include "qkv/core/error.h"
#include "qkv/core/random.h"
#include "qkv/ops/arithmetic.h"
#include "qkv/ops/attention.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/cross_entropy.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/norm.h"
#include "qkv/ops/shape.h"
#include "qkv/tensor/device.h"

#include <gtest/gtest.h>

#include <cmath>

namespace qkv {
namespace {

constexpr int64_t rows = 3, positions = 9, heads = 2, width = 32, vocab = 24;

Tensor drawn(const Shape& shape, uint64_t seed) {
  Random draw(RandomKey{seed, 6});
  std::vector<float> values;
  for (int64_t i = 0; i < shape.numel(); ++i) values.push_back(0.3F * static_cast<float>(draw.normal()));
  return Tensor::from(shape, values, default_device());
}

// The loss of a model of one block, and after it each parameter's gradient.
std::vector<std::vector<double>> block_in(DType compute) {
  std::vector<Tensor> parameters = {drawn({vocab, width}, 1), drawn({width}, 2), drawn({3 * width, width}, 3),
                                    drawn({3 * width}, 4), drawn({width, width}, 5)};
  for (Tensor& parameter : parameters) require_grad(parameter);
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < rows * positions; ++i) ids.push_back(i * 7 % vocab);
  const Tensor x = embedding(Tensor::from({rows, positions}, ids), parameters[0], compute);
  const Tensor fused = linear(rms_norm(x, parameters[1], 1e-3F), parameters[2], parameters[3]);
  EXPECT_EQ(fused.dtype(), compute);
  const std::vector<Tensor> qkv =
      split(reshape(fused, {rows, positions, 3 * heads, width / heads}), 2, {heads, heads, heads});
  const Tensor z = attention(qkv[0], qkv[1], qkv[2], {.scale = 0.25F, .causal = true});
  const Tensor h = add(x, linear(reshape(z, x.shape()), parameters[4], {}, Activation::gelu));
  const Tensor loss = linear_cross_entropy(reshape(h, {rows * positions, width}), parameters[0], {},
                                           Tensor::from({rows * positions}, ids), 1.0F / (rows * positions));
  backward(loss);
  std::vector<std::vector<double>> results = {loss.to_vector<double>()};
  for (const Tensor& parameter : parameters) results.push_back(gradient(parameter).to_vector<double>());
  return results;
}

void expect_near_f32(DType compute, double tolerance) {
  const auto expected = block_in(DType::f32), got = block_in(compute);
  for (size_t i = 0; i < expected.size(); ++i) {
    double largest = 0, difference = 0;
    for (size_t j = 0; j < expected[i].size(); ++j) {
      largest = std::max(largest, std::abs(expected[i][j]));
      difference = std::max(difference, std::abs(expected[i][j] - got[i][j]));
    }
    EXPECT_LE(difference, tolerance * largest) << name_of(compute) << ", result " << i;
    EXPECT_GT(difference, 0) << "nothing was rounded";
  }
}

TEST(Half, Bf16StaysNear) { expect_near_f32(DType::bf16, 0.05); }

TEST(Half, F16StaysNearerOnAGpu) {
  if (default_device().type != Device::Type::cuda) GTEST_SKIP() << "the CPU's kernels do not take f16";
  expect_near_f32(DType::f16, 0.05 / 8);
}

TEST(Half, TheCpuRefusesF16) {
  const Tensor x = Tensor::zeros({2, 3}, DType::f16), w = Tensor::zeros({4, 3});
  try {
    linear(x, w, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("[linear] expected f32 or bf16, got f16"), std::string::npos)
        << error.what();
  }
}

TEST(Half, CopiesOfAParameterAreOfTheTypeAskedFor) {
  Tensor w = drawn({4, 3}, 1);
  require_grad(w);
  EXPECT_FALSE(kept_half(w));
  EXPECT_EQ(half_of(w, DType::bf16).dtype(), DType::bf16);
  EXPECT_TRUE(half_of(w, DType::bf16).shares_memory(kept_half(w)));
  EXPECT_EQ(half_of(w, DType::f16).dtype(), DType::f16);
  EXPECT_EQ(kept_half(w).dtype(), DType::f16);
  forget_half(w);
  EXPECT_FALSE(kept_half(w));
}

}  // namespace
}  // namespace qkv
