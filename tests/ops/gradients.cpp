// Every operation's gradient against central differences along random directions.
#include "qkv/core/random.h"
#include "qkv/ops/activation.h"
#include "qkv/ops/arithmetic.h"
#include "qkv/ops/attention.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/causal_conv.h"
#include "qkv/ops/cross_entropy.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/losses.h"
#include "qkv/ops/matmul.h"
#include "qkv/ops/moving_average.h"
#include "qkv/ops/norm.h"
#include "qkv/ops/relative_bias.h"
#include "qkv/ops/selective_scan.h"
#include "qkv/ops/shape.h"
#include "qkv/tensor/device.h"

#include <gtest/gtest.h>

#include <cmath>

namespace qkv {
namespace {

Tensor random(const Shape& shape, uint64_t seed, float spread = 1) {
  Random draw(RandomKey{seed, 5});
  std::vector<float> values;
  for (int64_t i = 0; i < shape.numel(); ++i) values.push_back(spread * static_cast<float>(draw.normal()));
  return Tensor::from(shape, values, default_device());
}

// Checks d sum(f(inputs) * w) for fixed random w: for each input, the gradient's product with a random direction
// against (f(x + h d) - f(x - h d)) / 2h.
using Function = std::function<Tensor(const std::vector<Tensor>&)>;
void check_gradients(const Function& f, std::vector<Tensor> inputs) {
  for (Tensor& input : inputs) require_grad(input);
  Tensor weights;
  const auto value = [&] {
    const Tensor y = f(inputs);
    if (!weights) weights = random(y.shape(), 99);
    return sum(multiply(cast(y, DType::f32), weights));
  };
  backward(value());
  for (size_t i = 0; i < inputs.size(); ++i) {
    Tensor& input = inputs[i];
    const Tensor g = gradient(input);
    ASSERT_TRUE(g) << "input " << i << " has no gradient";
    ASSERT_EQ(g.shape(), input.shape());
    const std::vector<float> direction = random(input.shape(), 1000 + i).to_vector<float>();
    const std::vector<float> at = input.to_vector<float>();
    const std::vector<float> slope = g.to_vector<float>();
    double expected = 0;
    double size = 0;
    for (size_t j = 0; j < slope.size(); ++j) {
      expected += static_cast<double>(slope[j]) * direction[j];
      size += std::abs(static_cast<double>(slope[j]) * direction[j]);
    }
    const NoGrad no_grad;
    constexpr float h = 5e-3F;
    const auto moved = [&](float by) {
      std::vector<float> there;
      for (size_t j = 0; j < at.size(); ++j) there.push_back(at[j] + by * direction[j]);
      input.assign(Tensor::from(input.shape(), there));
      return value().item<double>();
    };
    const double measured = (moved(h) - moved(-h)) / (2 * h);
    input.assign(Tensor::from(input.shape(), at));
    EXPECT_NEAR(measured, expected, 5e-3 * std::max(0.5, size / std::sqrt(static_cast<double>(slope.size()))))
        << "input " << i;
  }
}

TEST(Gradients, Linear) {
  check_gradients([](const auto& x) { return linear(x[0], x[1], x[2]); },
                  {random({3, 5, 7}, 1), random({4, 7}, 2), random({4}, 3)});
  check_gradients([](const auto& x) { return linear(x[0], x[1], {}); }, {random({1, 1}, 1), random({1, 1}, 2)});
  check_gradients([](const auto& x) { return linear(x[0], x[1], x[2], Activation::gelu); },
                  {random({9, 16}, 1), random({80, 16}, 2), random({80}, 3)});
}

TEST(Gradients, SharedParametersAddUp) {
  check_gradients([](const auto& x) { return linear(linear(x[0], x[1], {}), x[1], {}); },
                  {random({3, 6}, 1), random({6, 6}, 2)});
  check_gradients([](const auto& x) { return add(add(x[0], x[0]), multiply(x[0], x[0])); }, {random({4}, 1)});
}

TEST(Gradients, Activations) {
  for (const Activation kind : {Activation::gelu, Activation::gelu_tanh, Activation::gelu_quick, Activation::silu,
                                Activation::tanh, Activation::sigmoid, Activation::softplus, Activation::laplace}) {
    SCOPED_TRACE(name_of(kind));
    check_gradients([=](const auto& x) { return activate(x[0], kind); }, {random({5, 13}, 1, 2)});
    check_gradients([=](const auto& x) { return gated(x[0], kind); }, {random({5, 14}, 1, 2)});
  }
  // Away from the corner at zero.
  std::vector<float> away = random({40}, 2).to_vector<float>();
  for (float& one : away) one += one > 0 ? 0.5F : -0.5F;
  const Tensor x = Tensor::from({40}, away, default_device());
  for (const Activation kind : {Activation::relu, Activation::relu_squared})
    check_gradients([=](const auto& v) { return activate(v[0], kind); }, {clone(x)});
}

TEST(Gradients, Softmax) {
  check_gradients([](const auto& x) { return softmax(x[0]); }, {random({3, 9}, 1)});
  check_gradients([](const auto& x) { return log_softmax(x[0]); }, {random({3, 9}, 1)});
}

TEST(Gradients, DropoutRepeatsItsMask) {
  check_gradients([](const auto& x) { return dropout(x[0], 0.4F, RandomKey{7, 3}); }, {random({50}, 1)});
}

TEST(Gradients, Norms) {
  check_gradients([](const auto& x) { return layer_norm(x[0], x[1], x[2], 1e-2F); },
                  {random({4, 11}, 1), random({11}, 2), random({11}, 3)});
  check_gradients([](const auto& x) { return rms_norm(x[0], x[1], 1e-2F); }, {random({4, 11}, 1), random({11}, 2)});
  check_gradients(
      [](const auto& x) {
        const AddNorm both = add_layer_norm(x[0], x[1], x[2], x[3], 1e-2F);
        return add(both.sum, both.y);
      },
      {random({4, 11}, 1), random({4, 11}, 5), random({11}, 2), random({11}, 3)});
  const std::vector<Tensor> of_rms = {random({4, 11}, 1), random({4, 11}, 5), random({11}, 2)};
  check_gradients([](const auto& x) { return add_rms_norm(x[0], x[1], x[2], 1e-2F).y; }, of_rms);
  const Tensor weight = random({11}, 2);  // which nothing reaches where the sum alone is used
  check_gradients([=](const auto& x) { return add_rms_norm(x[0], x[1], weight, 1e-2F).sum; },
                  {random({4, 11}, 1), random({4, 11}, 5)});
  check_gradients(
      [](const auto& x) {
        const AddNorm both = add_rms_norm(x[0], x[1], x[2], 1e-2F);
        return add(both.sum, both.y);
      },
      of_rms);
}

TEST(Gradients, CausalConv) {
  check_gradients([](const auto& x) { return causal_conv(x[0], x[1], x[2]); },
                  {random({2, 5, 19}, 1), random({19, 1, 3}, 2), random({19}, 3)});
  check_gradients(
      [](const auto& x) {
        return causal_conv(split(x[0], 2, {3, 2})[1], x[1], {});
      },
      {random({2, 6, 5}, 1), random({2, 1, 4}, 2)});
}

TEST(Gradients, SelectiveScan) {
  check_gradients(
      [](const auto& x) {
        const std::vector<Tensor> parts = split(x[2], 2, {1, 3, 3});
        return selective_scan(x[0], activate(x[1], Activation::softplus), parts[1], parts[2], x[3], x[4]);
      },
      {random({2, 6, 19}, 1), random({2, 6, 19}, 2), random({2, 6, 7}, 3), random({19, 3}, 4, 0.5F), random({19}, 5)});
}

TEST(Gradients, MovingAverage) {
  for (const int64_t ways : {1, 2}) {
    SCOPED_TRACE(ways);
    check_gradients(
        [](const auto& x) { return moving_average(x[0], activate(x[1], Activation::sigmoid), x[2], x[3]); },
        {random({2, 6, 19}, 1), random({ways * 19, 3}, 2), random({ways * 19, 3}, 3), random({ways * 19, 3}, 4)});
  }
}

TEST(Gradients, Matmul) {
  check_gradients([](const auto& x) { return matmul(x[0], x[1]); }, {random({2, 3, 4, 5}, 1), random({2, 3, 5, 6}, 2)});
  check_gradients([](const auto& x) { return matmul_transposed(x[0], x[1]); },
                  {random({3, 4, 5}, 1), random({3, 6, 5}, 2)});
}

TEST(Gradients, MaskedPositions) {
  const Tensor mask = Tensor::from<uint8_t>({2, 3}, {1, 0, 1, 1, 1, 0});
  check_gradients([=](const auto& x) { return mask_positions(x[0], mask); }, {random({2, 3, 4}, 1)});
}

TEST(Gradients, Arithmetic) {
  check_gradients([](const auto& x) { return add(x[0], x[1]); }, {random({3, 4, 5}, 1), random({4, 5}, 2)});
  check_gradients([](const auto& x) { return subtract(x[0], x[1]); }, {random({3, 4}, 1), random({3, 4}, 2)});
  check_gradients([](const auto& x) { return multiply(x[0], x[1]); }, {random({3, 4}, 1), random({3, 4}, 2)});
  check_gradients([](const auto& x) { return multiply(x[0], x[1]); }, {random({3, 2, 4}, 1), random({4}, 2)});
  check_gradients([](const auto& x) { return scale(x[0], -2.5F); }, {random({3, 4}, 1)});
  check_gradients([](const auto& x) { return sum(x[0]); }, {random({3, 4}, 1)});
}

TEST(Gradients, Shapes) {
  check_gradients([](const auto& x) { return reshape(x[0], {6, 2}); }, {random({3, 4}, 1)});
  check_gradients([](const auto& x) { return transpose(x[0], 0, 2); }, {random({3, 4, 2}, 1)});
  check_gradients([](const auto& x) { return concat({x[0], x[1]}, 1); }, {random({3, 4}, 1), random({3, 2}, 2)});
  check_gradients([](const auto& x) { return select(x[0], 1, 2); }, {random({3, 4, 5}, 1)});
  check_gradients(
      [](const auto& x) {
        const std::vector<Tensor> parts = split(x[0], 1, {1, 2, 3});
        return concat({activate(parts[2], Activation::tanh), contiguous(parts[0])}, 1);  // the middle part is not used
      },
      {random({4, 6}, 1)});
}

TEST(Gradients, Embedding) {
  const Tensor ids = Tensor::from<int32_t>({2, 3}, {1, 4, 1, 0, 1, 2});
  check_gradients([=](const auto& x) { return embedding(ids, x[0], DType::f32); }, {random({5, 7}, 1)});
  Tensor table = random({5, 7}, 1);
  require_grad(table);
  backward(sum(embedding(ids, table, DType::f32, 1)));
  EXPECT_EQ(gradient(table).to_vector<float>()[7], 0) << "the padding row is not trained";
  EXPECT_EQ(gradient(table).to_vector<float>()[0], 1);
}

TEST(Gradients, EmbeddingFromALaterRow) {
  const Tensor ids = Tensor::from<int32_t>({2, 3}, {1, 2, 1, 0, 1, -2});
  const Tensor moved = Tensor::from<int32_t>({2, 3}, {3, 4, 3, 2, 3, 0});
  const auto rows = [=](const auto& x) { return embedding(ids, x[0], DType::f32, -1, 2); };
  check_gradients(rows, {random({5, 7}, 1)});
  Tensor table = random({5, 7}, 1);
  EXPECT_EQ(rows(std::vector<Tensor>{table}).to_vector<float>(),
            embedding(moved, table, DType::f32).to_vector<float>());
  require_grad(table);
  backward(sum(embedding(ids, table, DType::f32, 1, 2)));
  EXPECT_EQ(gradient(table).to_vector<float>()[3 * 7], 0) << "the padding row is not trained";
  EXPECT_EQ(gradient(table).to_vector<float>()[4 * 7], 1);
  EXPECT_THROW(embedding(Tensor::from<int32_t>({1}, {3}), table, DType::f32, -1, 2), std::exception);
  EXPECT_THROW(embedding(Tensor::from<int32_t>({1}, {-3}), table, DType::f32, -1, 2), std::exception);
}

TEST(Gradients, CrossEntropy) {
  const Tensor targets = Tensor::from<int32_t>({4}, {2, -100, 0, 5});
  for (const float smoothing : {0.0F, 0.2F}) {
    check_gradients([=](const auto& x) { return cross_entropy(x[0], targets, 0.5F, smoothing); }, {random({4, 6}, 1)});
    check_gradients([=](const auto& x) { return linear_cross_entropy(x[0], x[1], x[2], targets, 0.5F, smoothing); },
                    {random({4, 8}, 1), random({6, 8}, 2), random({6}, 3)});
  }
  check_gradients(
      [](const auto& x) {
        return squared_error(x[0], Tensor::from<float>({3}, {1, 2, 3}), 0.5F);
      },
      {random({3}, 1)});
  check_gradients(
      [](const auto& x) {
        return binary_cross_entropy(x[0], Tensor::from<float>({2, 2}, {1, 0, 0, 1}), 0.5F);
      },
      {random({2, 2}, 1)});
}

TEST(Gradients, ChunkedCrossEntropyEqualsTheWholeOne) {
  // Enough rows and classes for several chunks of logits.
  const int64_t rows = 700, classes = 40000;
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < rows; ++i) labels.push_back(static_cast<int32_t>(i * 57 % classes));
  const Tensor targets = Tensor::from<int32_t>({rows}, labels);
  Tensor x = random({rows, 4}, 1), w = random({classes, 4}, 2), x2 = clone(x), w2 = clone(w);
  for (Tensor* t : {&x, &w, &x2, &w2}) require_grad(*t);
  const Tensor chunked = linear_cross_entropy(x, w, {}, targets, 1.0F / 700);
  const Tensor whole = cross_entropy(linear(x2, w2, {}), targets, 1.0F / 700);
  EXPECT_NEAR(chunked.item(), whole.item(), 1e-4);
  backward(chunked);
  backward(whole);
  for (const auto& [a, b] : {std::pair{x, x2}, std::pair{w, w2}}) {
    const std::vector<float> u = gradient(a).to_vector<float>(), v = gradient(b).to_vector<float>();
    for (size_t i = 0; i < u.size(); i += 101) ASSERT_NEAR(u[i], v[i], 1e-6);
  }
}

TEST(Gradients, Attention) {
  const Tensor mask = Tensor::from<uint8_t>({2, 5}, {1, 1, 1, 1, 0, 0, 1, 1, 1, 1});
  for (const bool causal : {false, true})
    for (const int64_t window : {0, 2}) {
      const AttentionOptions options{
          .scale = 0.4F, .causal = causal, .window = window, .key_mask = mask, .dropout = 0.2F, .key = RandomKey{3, 4}};
      check_gradients([=](const auto& x) { return attention(x[0], x[1], x[2], options); },
                      {random({2, 5, 4, 6}, 1), random({2, 5, 2, 6}, 2), random({2, 5, 2, 6}, 3)});
    }
  check_gradients(
      [](const auto& x) {
        const AttentionOptions options{.scale = 0.4F, .causal = true, .bias = x[3]};
        return attention(x[0], x[1], x[2], options);
      },
      {random({2, 3, 2, 6}, 1), random({2, 5, 2, 6}, 2), random({2, 5, 2, 6}, 3), random({1, 2, 3, 5}, 4)});
  for (const bool causal : {false, true})
    check_gradients(
        [=](const auto& x) {
          return attention(x[0], x[1], x[2], {.scale = 0.4F, .causal = causal, .distances = x[3]});
        },
        {random({2, 3, 4, 6}, 1), random({2, 5, 2, 6}, 2), random({2, 5, 2, 6}, 3), random({4, 7}, 4)});
  for (const float softcap : {0.0F, 1.5F})
    check_gradients(
        [=, slopes = random({4}, 7)](const auto& x) {
          return attention(x[0], x[1], x[2], {.causal = true, .softcap = softcap, .slopes = slopes});
        },
        {random({2, 5, 4, 6}, 1), random({2, 5, 2, 6}, 2), random({2, 5, 2, 6}, 3)});
}

TEST(Gradients, AttentionOfOneTensorInSeveralPlaces) {
  const AttentionOptions options{.scale = 0.4F, .causal = true};
  check_gradients([=](const auto& x) { return attention(x[0], x[1], x[1], options); },
                  {random({2, 3, 4, 6}, 1), random({2, 5, 2, 6}, 2)});
  check_gradients([=](const auto& x) { return attention(x[0], x[0], x[0], options); }, {random({2, 5, 2, 6}, 1)});
  check_gradients(
      [=](const auto& x) {
        const std::vector<Tensor> parts = split(x[0], 2, {2, 2});
        return attention(parts[0], parts[1], parts[1], options);
      },
      {random({2, 5, 4, 6}, 1)});
}

TEST(Gradients, RelativeBias) {
  const Tensor distances = Tensor::from<int32_t>({1, 2, 3}, {1, 2, 3, 0, 1, -1});
  const Tensor segments = Tensor::from<int32_t>({2, 2, 3}, {0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0});
  check_gradients(
      [=](const auto& x) {
        const std::vector<Tensor> parts = split(x[0], 2, {2, 2});
        const Tensor bias = relative_bias({{.x = parts[0], .table = x[2], .places = distances},
                                           {.x = x[1], .table = x[3], .places = segments, .by_key = true}},
                                          0.7F);
        return attention(parts[1], x[1], x[4], {.scale = 0.4F, .bias = bias});
      },
      {random({2, 2, 4, 6}, 1), random({2, 3, 2, 6}, 2), random({4, 2, 6}, 3), random({2, 2, 6}, 4),
       random({2, 3, 2, 6}, 5)});
}

TEST(RelativeBias, IsTheProductsOfItsPlaces) {
  const Tensor x = random({2, 3, 2, 5}, 1), y = random({2, 4, 2, 5}, 2), table = random({6, 2, 5}, 3);
  const std::vector<float> queries = x.to_vector<float>(), keys = y.to_vector<float>(),
                           rows_of_table = table.to_vector<float>();
  std::vector<int32_t> rows;
  for (int32_t i = 0; i < 12; ++i) rows.push_back(i * 5 % 7 - 1);
  const Tensor places = Tensor::from<int32_t>({1, 3, 4}, rows);
  const std::vector<float> bias = relative_bias({{.x = x, .table = table, .places = places},
                                                 {.x = y, .table = table, .places = places, .by_key = true}},
                                                0.5F)
                                      .to_vector<float>();
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t h = 0; h < 2; ++h)
      for (int64_t t = 0; t < 3; ++t)
        for (int64_t s = 0; s < 4; ++s) {
          const int32_t place = rows[static_cast<size_t>(t * 4 + s)];
          const float got = bias[static_cast<size_t>(((b * 2 + h) * 3 + t) * 4 + s)];
          if (place < 0) {
            EXPECT_LE(got, -1e30F);
            continue;
          }
          const auto at = [](const std::vector<float>& values, int64_t i) { return values[static_cast<size_t>(i)]; };
          double expected = 0;
          for (int64_t d = 0; d < 5; ++d)
            expected += 0.5 * at(rows_of_table, (place * 2 + h) * 5 + d) *
                        (at(queries, ((b * 3 + t) * 2 + h) * 5 + d) + at(keys, ((b * 4 + s) * 2 + h) * 5 + d));
          EXPECT_NEAR(got, expected, 1e-5);
        }
}

TEST(Gradients, FusedProjectionThroughSplitAndRotary) {
  const RotaryTable table{random({8, 2}, 7), random({8, 2}, 8), false};
  const Tensor positions = Tensor::from<int32_t>({2, 3}, {0, 1, 2, 3, 4, 5});
  check_gradients(
      [=](const auto& x) {
        const std::vector<Tensor> parts = split(reshape(linear(x[0], x[1], {}), {2, 3, 4, 6}), 2, {2, 1, 1});
        return attention(rotary(parts[0], table, positions), rotary(parts[1], table, positions), parts[2],
                         {.causal = true});
      },
      {random({2, 3, 5}, 1), random({24, 5}, 2, 0.5F)});
}

TEST(Gradients, CheckpointingChangesNothing) {
  const auto block = [](const std::vector<Tensor>& x, bool again) {
    const auto f = [&x](std::span<const Tensor> h) {
      return activate(dropout(add(linear(h[0], x[1], x[2]), h[2]), 0.3F, RandomKey{1, 2}), Activation::gelu);
    };
    // The second input has a tape of its own, which must be played once.
    const std::vector<Tensor> inputs = {x[0], Tensor(), activate(x[3], Activation::tanh)};
    const Tensor h = again ? checkpoint(f, inputs) : f(inputs);
    return again ? checkpoint(f, {h, Tensor(), inputs[2]}) : f(std::vector<Tensor>{h, Tensor(), inputs[2]});
  };
  std::vector<std::vector<float>> gradients[2];
  for (const bool again : {false, true}) {
    std::vector<Tensor> inputs = {random({3, 8}, 1), random({8, 8}, 2), random({8}, 3), random({3, 8}, 4)};
    for (Tensor& input : inputs) require_grad(input);
    backward(sum(block(inputs, again)));
    for (const Tensor& input : inputs) gradients[again ? 1 : 0].push_back(gradient(input).to_vector<float>());
  }
  EXPECT_EQ(gradients[0], gradients[1]);
}

TEST(Gradients, NothingIsRecordedWithoutGradients) {
  Tensor w = random({3, 3}, 1);
  require_grad(w);
  const NoGrad no_grad;
  EXPECT_EQ(linear(random({2, 3}, 2), w, {}).grad_meta(), nullptr);
}

TEST(Ops, WrongShapesAreNamed) {
  try {
    linear(random({2, 3}, 1), random({4, 5}, 2), {});
    FAIL();
  } catch (const std::exception& error) {
    EXPECT_NE(std::string(error.what()).find("[linear] expected x[..., K] and W[N, K], got x [2, 3] and W [4, 5]"),
              std::string::npos)
        << error.what();
  }
  EXPECT_THROW(embedding(Tensor::from<int32_t>({1}, {9}), random({5, 2}, 1), DType::f32), std::exception);
  EXPECT_THROW(cross_entropy(random({1, 3}, 1), Tensor::from<int32_t>({1}, {3}), 1), std::exception);
}

}  // namespace
}  // namespace qkv
