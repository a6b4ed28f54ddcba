// Operations along time against their formulas, and in pieces against in one go.
#include "qkv/ops/causal_conv.h"
#include "qkv/ops/moving_average.h"
#include "qkv/ops/selective_scan.h"
#include "qkv/ops/shape.h"

#include "qkv/core/random.h"
#include "qkv/tensor/device.h"

#include <gtest/gtest.h>

#include <cmath>

namespace qkv {
namespace {

Tensor from(const Shape& shape, const std::vector<float>& values) {
  return Tensor::from(shape, values, default_device());
}

Tensor zeros(const Shape& shape) { return Tensor::zeros(shape, DType::f32, default_device()); }

std::vector<float> random_values(const Shape& shape, uint64_t seed) {
  Random draw(RandomKey{seed, 6});
  std::vector<float> values;
  for (int64_t i = 0; i < shape.numel(); ++i) values.push_back(static_cast<float>(draw.normal()));
  return values;
}

Tensor random_tensor(const Shape& shape, uint64_t seed) { return from(shape, random_values(shape, seed)); }

void expect_close(const Tensor& got, const Tensor& want) {
  ASSERT_EQ(got.shape(), want.shape());
  const std::vector<float> g = got.to_vector<float>(), w = want.to_vector<float>();
  for (size_t i = 0; i < w.size(); ++i) ASSERT_NEAR(g[i], w[i], 1e-5) << "element " << i;
}

TEST(Recurrences, ConvolutionOfOneChannelByHand) {
  const Tensor x = from({1, 4, 1}, {1, 2, 3, 4});
  const Tensor weight = from({1, 1, 3}, {100, 10, 1});
  expect_close(causal_conv(x, weight, from({1}, {0.5F})), from({1, 4, 1}, {1.5F, 12.5F, 123.5F, 234.5F}));
}

TEST(Recurrences, ScanOfOneStateByHand) {
  const Tensor x = from({1, 3, 1}, {1, -2, 3}), delta = from({1, 3, 1}, {0.5F, 1, 2});
  const Tensor b = from({1, 3, 1}, {1, 2, -1}), c = from({1, 3, 1}, {3, 1, 2});
  const Tensor log_a = from({1, 1}, {0.3F}), skip = from({1}, {0.25F});
  const double a = -std::exp(0.3);
  double h = 0;
  std::vector<float> want;
  const double xs[] = {1, -2, 3}, ds[] = {0.5, 1, 2}, bs[] = {1, 2, -1}, cs[] = {3, 1, 2};
  for (int t = 0; t < 3; ++t) {
    h = std::exp(ds[t] * a) * h + ds[t] * bs[t] * xs[t];
    want.push_back(static_cast<float>(cs[t] * h + 0.25 * xs[t]));
  }
  expect_close(selective_scan(x, delta, b, c, log_a, skip), from({1, 3, 1}, want));
}

TEST(Recurrences, ScanInPiecesIsTheScan) {
  const Tensor x = random_tensor({2, 9, 11}, 1), b = random_tensor({2, 9, 4}, 3), c = random_tensor({2, 9, 4}, 4);
  const Tensor log_a = random_tensor({11, 4}, 5), skip = random_tensor({11}, 6);
  std::vector<float> steps = random_values({2, 9, 11}, 2);
  for (float& step : steps) step = std::abs(step);
  const Tensor delta = from({2, 9, 11}, steps);
  const Tensor state = zeros({2, 4, 11});
  std::vector<Tensor> pieces;
  for (const auto& [begin, length] : {std::pair{0, 4}, std::pair{4, 1}, std::pair{5, 4}}) {
    const auto part = [&](const Tensor& t) { return t.narrow(1, begin, length); };
    pieces.push_back(selective_scan(part(x), part(delta), part(b), part(c), log_a, skip, state));
  }
  expect_close(concat(pieces, 1), selective_scan(x, delta, b, c, log_a, skip));
}

TEST(Recurrences, AverageIsAConvolutionWithItsKernel) {
  const std::vector<float> x = random_values({1, 5, 1}, 1), in = random_values({2, 2}, 3),
                           out = random_values({2, 2}, 4), decay = {0.9F, 0.5F, 0.3F, 0.7F};
  // kernel[lag] = sum_n out[n] in[n] decay[n]^lag, one for each way.
  const auto kernel = [&](size_t way, size_t lag) {
    double sum = 0;
    for (size_t n = 2 * way; n < 2 * way + 2; ++n)
      sum += static_cast<double>(out[n]) * in[n] * std::pow(static_cast<double>(decay[n]), static_cast<double>(lag));
    return sum;
  };
  std::vector<float> want;
  for (size_t t = 0; t < 5; ++t) {
    double y = 0;
    for (size_t s = 0; s < 5; ++s) {
      if (s <= t) y += kernel(0, t - s) * x[s];
      if (s >= t) y += kernel(1, s - t) * x[s];
    }
    want.push_back(static_cast<float>(y));
  }
  const Shape states{2, 2};
  expect_close(moving_average(from({1, 5, 1}, x), from(states, decay), from(states, in), from(states, out)),
               from({1, 5, 1}, want));
}

TEST(Recurrences, AverageInPiecesIsTheAverage) {
  const Tensor x = random_tensor({2, 9, 11}, 1), in = random_tensor({11, 3}, 3), out = random_tensor({11, 3}, 4);
  std::vector<float> kept = random_values({11, 3}, 2);
  for (float& one : kept) one = 0.9F / (1 + std::abs(one));
  const Tensor decay = from({11, 3}, kept);
  const Tensor state = zeros({2, 3, 11});
  const Tensor first = moving_average(x.narrow(1, 0, 8), decay, in, out, state);
  const Tensor last = moving_average(x.narrow(1, 8, 1), decay, in, out, state);
  expect_close(concat({first, last}, 1), moving_average(x, decay, in, out));
}

TEST(Recurrences, ConvolutionInPiecesIsTheConvolution) {
  const Tensor x = random_tensor({2, 9, 11}, 1), weight = random_tensor({11, 1, 4}, 2), bias = random_tensor({11}, 3);
  const Tensor first = causal_conv(x.narrow(1, 0, 5), weight, bias);
  const Tensor rest = causal_conv(x.narrow(1, 5, 4), weight, bias, x.narrow(1, 2, 3));
  expect_close(concat({first, rest}, 1), causal_conv(x, weight, bias));
}

}  // namespace
}  // namespace qkv
