// Operations along time against their formulas, and in pieces against in one go.
#include "qkv/ops/causal_conv.h"
#include "qkv/ops/moving_average.h"
#include "qkv/ops/selective_scan.h"
#include "qkv/ops/shape.h"

#include "qkv/core/random.h"

#include <gtest/gtest.h>

#include <cmath>

namespace qkv {
namespace {

Tensor random(const Shape& shape, uint64_t seed) {
  Random draw(RandomKey{seed, 6});
  std::vector<float> values;
  for (int64_t i = 0; i < shape.numel(); ++i) values.push_back(static_cast<float>(draw.normal()));
  return Tensor::from(shape, values);
}

void expect_close(const Tensor& got, const Tensor& want) {
  ASSERT_EQ(got.shape(), want.shape());
  const std::vector<float> g = got.to_vector<float>(), w = want.to_vector<float>();
  for (size_t i = 0; i < w.size(); ++i) ASSERT_NEAR(g[i], w[i], 1e-5) << "element " << i;
}

TEST(Recurrences, ConvolutionOfOneChannelByHand) {
  const Tensor x = Tensor::from<float>({1, 4, 1}, {1, 2, 3, 4});
  const Tensor weight = Tensor::from<float>({1, 1, 3}, {100, 10, 1});
  expect_close(causal_conv(x, weight, Tensor::from<float>({1}, {0.5F})),
               Tensor::from<float>({1, 4, 1}, {1.5F, 12.5F, 123.5F, 234.5F}));
}

TEST(Recurrences, ScanOfOneStateByHand) {
  const Tensor x = Tensor::from<float>({1, 3, 1}, {1, -2, 3}), delta = Tensor::from<float>({1, 3, 1}, {0.5F, 1, 2});
  const Tensor b = Tensor::from<float>({1, 3, 1}, {1, 2, -1}), c = Tensor::from<float>({1, 3, 1}, {3, 1, 2});
  const Tensor log_a = Tensor::from<float>({1, 1}, {0.3F}), skip = Tensor::from<float>({1}, {0.25F});
  const double a = -std::exp(0.3);
  double h = 0;
  std::vector<float> want;
  const double xs[] = {1, -2, 3}, ds[] = {0.5, 1, 2}, bs[] = {1, 2, -1}, cs[] = {3, 1, 2};
  for (int t = 0; t < 3; ++t) {
    h = std::exp(ds[t] * a) * h + ds[t] * bs[t] * xs[t];
    want.push_back(static_cast<float>(cs[t] * h + 0.25 * xs[t]));
  }
  expect_close(selective_scan(x, delta, b, c, log_a, skip), Tensor::from({1, 3, 1}, want));
}

TEST(Recurrences, ScanInPiecesIsTheScan) {
  const Tensor x = random({2, 9, 11}, 1), b = random({2, 9, 4}, 3), c = random({2, 9, 4}, 4);
  const Tensor log_a = random({11, 4}, 5), skip = random({11}, 6);
  Tensor delta = random({2, 9, 11}, 2);
  for (int64_t i = 0; i < delta.numel(); ++i) delta.data<float>()[i] = std::abs(delta.data<float>()[i]);
  const Tensor state = Tensor::zeros({2, 4, 11});
  std::vector<Tensor> pieces;
  for (const auto& [begin, length] : {std::pair{0, 4}, std::pair{4, 1}, std::pair{5, 4}}) {
    const auto part = [&](const Tensor& t) { return t.narrow(1, begin, length); };
    pieces.push_back(selective_scan(part(x), part(delta), part(b), part(c), log_a, skip, state));
  }
  expect_close(concat(pieces, 1), selective_scan(x, delta, b, c, log_a, skip));
}

TEST(Recurrences, AverageIsAConvolutionWithItsKernel) {
  const Tensor x = random({1, 5, 1}, 1), in = random({2, 2}, 3), out = random({2, 2}, 4);
  const Tensor decay = Tensor::from<float>({2, 2}, {0.9F, 0.5F, 0.3F, 0.7F});
  // kernel[lag] = sum_n out[n] in[n] decay[n]^lag, one for each way.
  const auto kernel = [&](int64_t way, int64_t lag) {
    double sum = 0;
    for (int64_t n = 2 * way; n < 2 * way + 2; ++n)
      sum += static_cast<double>(out.data<float>()[n]) * in.data<float>()[n] *
             std::pow(static_cast<double>(decay.data<float>()[n]), static_cast<double>(lag));
    return sum;
  };
  std::vector<float> want;
  for (int64_t t = 0; t < 5; ++t) {
    double y = 0;
    for (int64_t s = 0; s < 5; ++s) {
      if (s <= t) y += kernel(0, t - s) * x.data<float>()[s];
      if (s >= t) y += kernel(1, s - t) * x.data<float>()[s];
    }
    want.push_back(static_cast<float>(y));
  }
  expect_close(moving_average(x, decay, in, out), Tensor::from({1, 5, 1}, want));
}

TEST(Recurrences, AverageInPiecesIsTheAverage) {
  const Tensor x = random({2, 9, 11}, 1), in = random({11, 3}, 3), out = random({11, 3}, 4);
  Tensor decay = random({11, 3}, 2);
  for (int64_t i = 0; i < decay.numel(); ++i) decay.data<float>()[i] = 0.9F / (1 + std::abs(decay.data<float>()[i]));
  const Tensor state = Tensor::zeros({2, 3, 11});
  const Tensor first = moving_average(x.narrow(1, 0, 8), decay, in, out, state);
  const Tensor last = moving_average(x.narrow(1, 8, 1), decay, in, out, state);
  expect_close(concat({first, last}, 1), moving_average(x, decay, in, out));
}

TEST(Recurrences, ConvolutionInPiecesIsTheConvolution) {
  const Tensor x = random({2, 9, 11}, 1), weight = random({11, 1, 4}, 2), bias = random({11}, 3);
  const Tensor first = causal_conv(x.narrow(1, 0, 5), weight, bias);
  const Tensor rest = causal_conv(x.narrow(1, 5, 4), weight, bias, x.narrow(1, 2, 3));
  expect_close(concat({first, rest}, 1), causal_conv(x, weight, bias));
}

}  // namespace
}  // namespace qkv
