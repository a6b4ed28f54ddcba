// Attention in chunks against plain loops, and one position at a time against all at once.
#include "qkv/nn/chunked_attention.h"

#include "qkv/ops/autograd.h"
#include "qkv/ops/shape.h"
#include "tests/nn/random_tensor.h"

#include <gtest/gtest.h>

#include <cmath>

namespace qkv {
namespace {

constexpr int64_t model_width = 6, heads = 2, head_dim = 3;

ChunkedAttention part(ChunkedAttentionSpec spec) {
  spec.heads = heads;
  spec.head_dim = head_dim;
  ChunkedAttention attention(model_width, spec);
  uint64_t seed = 1;
  attention.visit("", [&](const std::string&, Tensor& value, Role) { value = random(value.shape(), seed++); });
  return attention;
}

Tensor run(const ChunkedAttention& attention, const Tensor& x, const Context& context) {
  const NoGrad no_grad;
  Tensor buckets;
  return attention(x, 0, context, buckets);
}

void expect_close(const Tensor& got, const Tensor& want) {
  ASSERT_EQ(got.shape(), want.shape());
  const std::vector<float> g = got.to_vector<float>(), w = want.to_vector<float>();
  for (size_t i = 0; i < w.size(); ++i) ASSERT_NEAR(g[i], w[i], 2e-5) << "element " << i;
}

// Every query over the keys that `sees` allows, in plain loops.
Tensor plain(const ChunkedAttention& attention, const Tensor& x,
             const std::function<bool(int64_t t, int64_t s)>& sees) {
  const int64_t T = x.size(1);
  const NoGrad no_grad;
  const std::vector<float> fused = attention.in(x).to_vector<float>();
  const auto at = [&](int64_t t, int64_t which, int64_t h, int64_t i) {
    return fused[static_cast<size_t>(t * 3 * heads * head_dim + (which * heads + h) * head_dim + i)];
  };
  std::vector<float> z;
  for (int64_t t = 0; t < T; ++t)
    for (int64_t h = 0; h < heads; ++h) {
      double total = 0;
      std::vector<double> sum(head_dim, 0.0);
      for (int64_t s = 0; s < T; ++s) {
        if (!sees(t, s)) continue;
        double score = 0;
        for (int64_t i = 0; i < head_dim; ++i) score += static_cast<double>(at(t, 0, h, i)) * at(s, 1, h, i);
        const double p = std::exp(score / std::sqrt(static_cast<double>(head_dim)));
        total += p;
        for (int64_t i = 0; i < head_dim; ++i) sum[static_cast<size_t>(i)] += p * at(s, 2, h, i);
      }
      for (const double value : sum) z.push_back(static_cast<float>(value / total));
    }
  return attention.out(Tensor::from({1, T, heads * head_dim}, z));
}

TEST(ChunkedAttention, LocalSeesItsChunkAndThoseBeforeIt) {
  const Tensor x = random({1, 11, model_width}, 50);
  const ChunkedAttention causal = part({.causal = true, .chunk = 4, .multiple = 4, .shortest = 4});
  expect_close(run(causal, x, {}), plain(causal, x, [](int64_t t, int64_t s) { return s <= t && s / 4 >= t / 4 - 1; }));
  // Both ways, chunks go round: the last of three, which padding fills, stands before the first.
  const ChunkedAttention both = part({.chunk = 4, .before = 1, .after = 1, .multiple = 4, .shortest = 4});
  expect_close(run(both, x, {}), plain(both, x, [](int64_t, int64_t) { return true; }));
}

TEST(ChunkedAttention, AShortTextIsNotCut) {
  const Tensor x = random({1, 4, model_width}, 50);
  const ChunkedAttention causal = part({.causal = true, .chunk = 4, .multiple = 4, .shortest = 4});
  expect_close(run(causal, x, {}), plain(causal, x, [](int64_t t, int64_t s) { return s <= t; }));
}

TEST(ChunkedAttention, PaddingIsNotSeen) {
  for (const int64_t hashes : {0, 2}) {
    SCOPED_TRACE(hashes);
    const ChunkedAttention attention = part(
        {.causal = true, .chunk = 4, .multiple = 4, .shortest = 4, .hashes = hashes, .buckets = {2, 2}, .seed = 5});
    const Tensor x = random({1, 9, model_width}, 50);
    Context context{.key_mask = Tensor::from<uint8_t>({1, 9}, {1, 1, 1, 1, 1, 1, 1, 0, 0})};
    const Tensor one = run(attention, x, context);
    const Tensor other = run(attention, concat({x.narrow(1, 0, 7), random({1, 2, model_width}, 51)}, 1), context);
    expect_close(clone(other.narrow(1, 0, 7)), clone(one.narrow(1, 0, 7)));
    // Between rounds of hashes, the chunk before the first is the last, which padding may be: a text then sees less.
    if (hashes == 0) expect_close(clone(one.narrow(1, 0, 7)), run(attention, clone(x.narrow(1, 0, 7)), {}));
  }
}

TEST(ChunkedAttention, ANewPositionSeesWhatItWouldInTheWholeText) {
  for (const int64_t hashes : {0, 1, 3}) {
    const ChunkedAttention attention =
        part({.causal = true, .chunk = 4, .multiple = 8, .shortest = 4, .hashes = hashes, .buckets = {4}, .seed = 5});
    const Tensor x = random({2, 13, model_width}, 50);
    KeyValueCache cache(1, 2, 13);
    Context context{.cache = &cache};
    run(attention, clone(x.narrow(1, 0, 3)), context);
    cache.advance(3);
    for (int64_t t = 3; t < 13; ++t) {
      SCOPED_TRACE(std::to_string(hashes) + " rounds, position " + std::to_string(t));
      const Tensor newest = run(attention, clone(x.narrow(1, t, 1)), context);
      cache.advance(1);
      const Tensor whole = run(attention, clone(x.narrow(1, 0, t + 1)), {});
      expect_close(newest, clone(whole.narrow(1, t, 1)));
    }
  }
}

// One bucket for all, by rotations that are all alike: positions keep their order, and hashing is local attention with
// keys of length 1 that leaves a token itself out.
TEST(ChunkedAttention, EqualHashesKeepTheOrder) {
  const ChunkedAttention attention =
      part({.causal = true, .chunk = 4, .multiple = 4, .shortest = 4, .hashes = 1, .buckets = {2}});
  const Tensor x = random({1, 8, model_width}, 50);
  Context context{.rotations = Tensor::zeros({heads, head_dim, 1, 1})};
  Tensor buckets;
  const NoGrad no_grad;
  attention(x, 0, context, buckets);
  EXPECT_EQ(buckets.shape(), (Shape{1, 8, heads, 1}));
  for (const int32_t bucket : buckets.to_vector<int32_t>()) EXPECT_EQ(bucket, 0);
}

}  // namespace
}  // namespace qkv
