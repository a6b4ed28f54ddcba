// Which calls of attention are given to cuDNN. What it makes of them, only a card can tell.
#include "qkv/kernels/cuda/attention/cudnn.h"

#include <gtest/gtest.h>

#include <functional>

namespace qkv::kernels {
namespace {

alignas(16) char memory[64];
float sums[1];

Attention training_call() {
  const int64_t H = 12, G = 4, T = 1024, K = 64;
  Attention a{.batch = 8, .queries = T, .keys = T, .heads = H, .kv_heads = G, .head_dim = K};
  a.type = a.kv_type = DType::bf16;
  a.q = {memory, T * H * K, H * K, K};
  a.k = a.v = {memory, T * G * K, G * K, K};
  a.out = {memory, T * H * K, H * K, K};
  a.logsumexp = sums;
  a.causal = true;
  return a;
}

bool suits(const std::function<void(Attention&)>& change) {
  Attention a = training_call();
  change(a);
  return suits_cudnn(a);
}

TEST(CuDnn, TakesPlainAttentionInHalfPrecision) {
  EXPECT_TRUE(suits_cudnn(training_call()));
  EXPECT_TRUE(suits([](Attention& a) { a.type = a.kv_type = DType::f16; }));
  EXPECT_TRUE(suits([](Attention& a) { a.head_dim = 128; }));
  EXPECT_TRUE(suits([](Attention& a) {
    a.causal = false;
    a.keys = 300;
  }));
}

TEST(CuDnn, LeavesTheRestToOurKernels) {
  const uint8_t mask = 1;
  const float number = 0;
  const int32_t place = 0;
  const std::vector<std::function<void(Attention&)>> changes = {
      [](Attention& a) { a.type = a.kv_type = DType::f32; },
      [](Attention& a) { a.kv_type = DType::q8_0; },
      [](Attention& a) { a.head_dim = 136; },
      [](Attention& a) { a.head_dim = 60; },
      [](Attention& a) { a.queries = 1; },
      [](Attention& a) { a.queries = a.keys - 1; },  // causal, behind a cache
      [](Attention& a) { a.batch = 0; },
      [](Attention& a) { a.window = 256; },
      [](Attention& a) { a.always = 1; },
      [](Attention& a) { a.softcap = 30; },
      [](Attention& a) { a.dropout = 0.1F; },
      [](Attention& a) { a.logsumexp = nullptr; },  // of inference
      [&](Attention& a) { a.key_mask = &mask; },
      [&](Attention& a) { a.slopes = &number; },
      [&](Attention& a) { a.bias = &number; },
      [&](Attention& a) { a.pages = &place; },
      [&](Attention& a) { a.key_count = &place; },
      [](Attention& a) { a.k.data = memory + 2; },
      [](Attention& a) { a.v.time_stride += 2; },
  };
  for (size_t i = 0; i < changes.size(); ++i) EXPECT_FALSE(suits(changes[i])) << i;
}

TEST(CuDnn, TakesGradientsOfWhatItTakes) {
  AttentionBackward a{.forward = training_call()};
  a.dout = a.forward.q;
  a.dq = a.forward.out;
  a.dk = a.dv = {memory, a.forward.k.batch_stride, a.forward.k.time_stride, a.forward.k.head_stride};
  EXPECT_TRUE(suits_cudnn(a));
  AttentionBackward with_bias = a;
  with_bias.dbias = sums;
  EXPECT_FALSE(suits_cudnn(with_bias));
  a.dv.data = memory + 8;
  EXPECT_FALSE(suits_cudnn(a));
}

}  // namespace
}  // namespace qkv::kernels
