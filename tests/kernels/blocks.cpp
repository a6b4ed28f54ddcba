// Blocks of quantised numbers: their layout, and how near the search comes.
#include "qkv/core/error.h"
#include "qkv/core/random.h"
#include "qkv/kernels/blocks.h"
#include "qkv/kernels/kernels.h"
#include "qkv/kernels/reference/block_fields.h"
#include "qkv/tensor/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace qkv {
namespace {

using namespace kernels;

constexpr DType block_types[] = {DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1, DType::q8_0,  DType::q2_k,
                                 DType::q3_k, DType::q4_k, DType::q5_k, DType::q6_k, DType::iq4_nl};

std::vector<float> dequantized(DType type, const void* row, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  dequantize_row(type, row, values.data(), count);
  return values;
}

// Numbers like a weight's: bell-shaped, some stretches larger than others.
std::vector<float> weights(int64_t count, uint64_t seed) {
  Random random({.seed = seed, .stream = 0});
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(static_cast<float>(random.normal() * 0.02 * (1 + static_cast<double>(i / 100 % 3))));
  return values;
}

std::vector<uint8_t> random_blocks(DType type, int64_t blocks, uint64_t seed) {
  Random random({.seed = seed, .stream = 1});
  std::vector<uint8_t> bytes(static_cast<size_t>(blocks * block_bytes(type)));
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.below(256));
  return bytes;
}

double squared_error(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * static_cast<double>(a[i] - b[i]);
  return sum;
}

TEST(Blocks, OfFourAndFiveBitsByHand) {
  BlockQ4_0 a{f16(0.5F), {}};
  a.codes[0] = 0xf0;  // number 0: 0 - 8, number 16: 15 - 8
  a.codes[15] = 0x29;
  const std::vector<float> x = dequantized(DType::q4_0, &a, 32);
  EXPECT_EQ(x[0], -4);
  EXPECT_EQ(x[16], 3.5F);
  EXPECT_EQ(x[15], 0.5F);
  EXPECT_EQ(x[31], -3);
  EXPECT_EQ(x[1], -4);

  BlockQ5_1 b{f16(2.0F), f16(-3.0F), {}, {}};
  b.high[0] = 1;     // number 0
  b.high[3] = 0x80;  // number 31
  b.codes[0] = 2;
  b.codes[15] = 0x10;
  const std::vector<float> y = dequantized(DType::q5_1, &b, 32);
  EXPECT_EQ(y[0], 2 * 18 - 3);
  EXPECT_EQ(y[31], 2 * 17 - 3);
  EXPECT_EQ(y[7], -3);

  BlockIq4Nl c{f16(1.0F), {}};
  c.codes[3] = 0x8f;
  EXPECT_EQ(dequantized(DType::iq4_nl, &c, 32)[3], 113);
  EXPECT_EQ(dequantized(DType::iq4_nl, &c, 32)[19], 1);
}

TEST(Blocks, OfManyGroupsByHand) {
  BlockQ4K a{};
  a.d = f16(0.5F);
  a.m = f16(0.25F);
  a.scales[1] = 5 | 0x80;  // scale 1 = 5; scale 5's upper bits = 2
  a.scales[5] = 9 | 0x40;  // low 1 = 9; low 5's upper bits = 1
  a.scales[9] = 0x73;      // scale 5 = 3 + 32, low 5 = 7 + 16
  a.codes[0] = 0xa0;       // number 32: 10
  a.codes[64] = 0xc0;      // number 160 = group 5's first: 12
  const std::vector<float> x = dequantized(DType::q4_k, &a, 256);
  EXPECT_EQ(x[0], 0);
  EXPECT_EQ(x[32], 0.5F * 5 * 10 - 0.25F * 9);
  EXPECT_EQ(x[160], 0.5F * 35 * 12 - 0.25F * 23);

  BlockQ6K b{};
  b.d = f16(0.5F);
  b.scales[15] = -3;
  b.codes[127] = 0x70;  // number 255 (upper half's last): 7
  b.high[63] = 0xc0;    // its upper bits: 3
  EXPECT_EQ(dequantized(DType::q6_k, &b, 256)[255], 0.5F * -3 * (7 + 48 - 32));

  BlockQ3K c{};
  c.d = f16(1.0F);
  c.scales[7] = 0x50;   // scale 15: lower bits 5
  c.scales[11] = 0xc0;  // its upper bits: 3
  c.codes[63] = 0x80;   // number 255: 2
  EXPECT_EQ(dequantized(DType::q3_k, &c, 256)[255], (5 + 48 - 32) * (2 - 4));
  c.high[31] = 0x80;
  EXPECT_EQ(dequantized(DType::q3_k, &c, 256)[255], (5 + 48 - 32) * 2);

  BlockQ2K d{};
  d.d = f16(1.0F);
  d.m = f16(0.5F);
  d.scales[2] = 0x34;  // group 2, numbers 32..47: scale 4, low 3
  d.codes[1] = 0x08;   // number 33: 2
  EXPECT_EQ(dequantized(DType::q2_k, &d, 256)[33], 4 * 2 - 0.5F * 3);
}

// Whatever a block says survives being taken apart and put together.
TEST(Blocks, UnpackedAndPackedAreTheSameBytes) {
  for (const DType type : block_types) {
    const std::vector<uint8_t> bytes = random_blocks(type, 64, 1);
    std::vector<uint8_t> again(bytes.size());
    for (size_t at = 0; at < bytes.size(); at += static_cast<size_t>(block_bytes(type))) {
      BlockFields fields;
      block_format(type).unpack(&bytes[at], fields);
      if (std::isnan(fields.d) || std::isnan(fields.m)) {
        std::memcpy(&again[at], &bytes[at], static_cast<size_t>(block_bytes(type)));
      } else {
        block_format(type).pack(fields, &again[at]);
      }
    }
    EXPECT_EQ(bytes, again) << name_of(type);
  }
}

TEST(Blocks, QuantizedNumbersStayNear) {
  struct Bound {
    DType type;
    double error;  // root mean square, relative to the numbers'
  };
  const Bound bounds[] = {{DType::q8_0, 0.006}, {DType::q6_k, 0.018}, {DType::q5_k, 0.037}, {DType::q5_1, 0.038},
                          {DType::q5_0, 0.043}, {DType::q4_k, 0.073}, {DType::q4_1, 0.080}, {DType::iq4_nl, 0.079},
                          {DType::q4_0, 0.088}, {DType::q3_k, 0.155}, {DType::q2_k, 0.29}};
  const std::vector<float> values = weights(256 * 40, 3);
  const double size = squared_error(values, std::vector<float>(values.size(), 0));
  for (const Bound& bound : bounds) {
    std::vector<uint8_t> row(static_cast<size_t>(bytes_of(bound.type, std::ssize(values))));
    quantize_row(bound.type, values.data(), row.data(), std::ssize(values));
    const std::vector<float> back = dequantized(bound.type, row.data(), std::ssize(values));
    const double error = std::sqrt(squared_error(values, back) / size);
    EXPECT_LE(error, bound.error) << name_of(bound.type);
    EXPECT_GE(error, bound.error * 0.6) << name_of(bound.type);
  }
}

TEST(Blocks, WhatABlockCanSayIsFoundAgain) {
  for (const DType type : block_types) {
    std::vector<float> values(256);
    const BlockFormat& format = block_format(type);
    // Every code, from the least to the most, at one scale; iq4_nl's are its table's.
    for (int i = 0; i < 256; ++i)
      values[static_cast<size_t>(i)] =
          0.25F * static_cast<float>(type == DType::iq4_nl
                                         ? iq4_nl_codes[static_cast<size_t>(i % 16)]
                                         : format.code_least + i % (format.code_most - format.code_least + 1));
    if (type == DType::q8_0 || format.group == 16) continue;  // groups too short to hold every code
    std::vector<uint8_t> row(static_cast<size_t>(bytes_of(type, 256)));
    quantize_row(type, values.data(), row.data(), 256);
    const std::vector<float> back = dequantized(type, row.data(), 256);
    for (size_t i = 0; i < 256; ++i) EXPECT_NEAR(back[i], values[i], 0.01) << name_of(type) << " " << i;
  }
}

TEST(Blocks, ImportanceIsHeeded) {
  const std::vector<float> values = weights(256, 5);
  std::vector<float> importance(256, 1e-3F);
  for (size_t i = 0; i < 256; i += 4) importance[i] = 1;
  for (const DType type : block_types) {
    if (type == DType::q8_0) continue;
    std::vector<uint8_t> row(static_cast<size_t>(bytes_of(type, 256)));
    const auto error = [&](const float* given) {
      quantize_row(type, values.data(), row.data(), 256, given);
      const std::vector<float> back = dequantized(type, row.data(), 256);
      double sum = 0;
      for (size_t i = 0; i < 256; i += 4) sum += std::pow(back[i] - values[i], 2);
      return sum;
    };
    const double even = error(nullptr);
    EXPECT_LT(error(importance.data()), 0.9 * even) << name_of(type);
  }
}

TEST(Blocks, ZerosAndHugeNumbers) {
  for (const DType type : block_types) {
    std::vector<uint8_t> row(static_cast<size_t>(bytes_of(type, 256)));
    quantize_row(type, std::vector<float>(256, 0).data(), row.data(), 256);
    EXPECT_EQ(dequantized(type, row.data(), 256), std::vector<float>(256, 0)) << name_of(type);
    std::vector<float> values(256, 0);
    values[7] = 3e4F;
    values[200] = -3e4F;
    quantize_row(type, values.data(), row.data(), 256);
    const std::vector<float> back = dequantized(type, row.data(), 256);
    EXPECT_NEAR(back[7], 3e4, 3e3) << name_of(type);
    EXPECT_NEAR(back[200], -3e4, 3e3) << name_of(type);
  }
}

TEST(Blocks, TensorsOfThem) {
  const Tensor weight = Tensor::zeros({6, 512}, DType::q4_k);
  EXPECT_EQ(weight.storage()->bytes(), 6U * 2 * 144);
  const Tensor part = weight.narrow(0, 2, 3);
  EXPECT_EQ(static_cast<char*>(part.raw()) - static_cast<char*>(weight.raw()), 2 * 2 * 144);
  EXPECT_EQ(part.shape(), (Shape{3, 512}));
  EXPECT_THROW(Tensor::empty({6, 100}, DType::q4_k), Error);
  EXPECT_THROW(Tensor::empty({}, DType::q4_k), Error);
  EXPECT_THROW(weight.view({1024, 3}), Error);
  EXPECT_THROW(weight.narrow(1, 0, 100), Error);
  EXPECT_THROW(weight.transpose(0, 1), Error);
  EXPECT_THROW(weight.to_vector<float>(), Error);
  EXPECT_THROW(size_of(DType::q8_0), Error);
  EXPECT_THROW(bytes_of(DType::q8_0, 33), Error);
  EXPECT_THROW(bytes_of(DType::q8_0, INT64_MAX / 32 * 32), Error);
  EXPECT_EQ(bytes_of(DType::q6_k, 512), 420);
  EXPECT_THROW(dtype_named("q4_0"), Error);
}

// Products, lookups and copies with blocks are those with the numbers in them.
TEST(Blocks, AsOperands) {
  constexpr int64_t n = 70, k = 512, m = 3;
  const Tensor x = Tensor::from<float>({m, k}, weights(m * k, 8));
  const Tensor bias = Tensor::from<float>({n}, weights(n, 9));
  const Tensor ids = Tensor::from<int32_t>({4}, {69, 0, 13, 13});
  for (const DType type : block_types) {
    const Tensor weight = Tensor::empty({n, k}, type);
    quantize_row(type, weights(n * k, 7).data(), weight.raw(), n * k);
    const Tensor plain = Tensor::from<float>({n, k}, dequantized(type, weight.raw(), n * k));
    for (const KernelSet* set : {&reference(), &cpu()}) {
      const auto product = [&](const Tensor& b) {
        const Tensor y = Tensor::empty({m, n});
        set->gemm({.m = m,
                   .n = n,
                   .k = k,
                   .a = x.raw(),
                   .lda = k,
                   .b = b.raw(),
                   .b_type = b.dtype(),
                   .ldb = k,
                   .b_transposed = true,
                   .c = y.raw(),
                   .ldc = n,
                   .bias = bias.data<float>(),
                   .activation = Activation::gelu});
        return y.to_vector<float>();
      };
      const std::vector<float> got = product(weight), want = product(plain);
      for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-5) << name_of(type);
      const auto rows = [&](const Tensor& table) {
        const Tensor y = Tensor::empty({4, k}, DType::bf16);
        set->gather({.rows = 4,
                     .width = k,
                     .ids = ids.data<int32_t>(),
                     .table = table.raw(),
                     .table_type = table.dtype(),
                     .out = y.raw(),
                     .out_type = DType::bf16});
        return y.to_vector<float>();
      };
      EXPECT_EQ(rows(weight), rows(plain)) << name_of(type);
      const auto copied = [&](DType to) {
        const Tensor y = Tensor::empty({n, k}, to);
        set->copy({.rank = 2,
                   .size = {n, k},
                   .x = weight.raw(),
                   .x_type = type,
                   .x_stride = {k, 1},
                   .y = y.raw(),
                   .y_type = to,
                   .y_stride = {k, 1}});
        return y;
      };
      EXPECT_EQ(copied(DType::f32).to_vector<float>(), plain.to_vector<float>());
      EXPECT_EQ(std::memcmp(copied(type).raw(), weight.raw(), weight.storage()->bytes()), 0);
    }
  }
}

}  // namespace
}  // namespace qkv
