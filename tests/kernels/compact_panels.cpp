// bf16 weights in 12 bits a number: nothing is lost, whatever the numbers are, and what does not fit is refused.
#include "qkv/core/random.h"
#include "qkv/kernels/cpu/instruction_sets.h"
#include "qkv/kernels/kernels.h"
#include "qkv/tensor/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>

namespace qkv {
namespace {

using namespace kernels::cpu_set;

struct Matrix {
  int64_t n, k;
  Tensor rows;  // bf16
};

Matrix matrix_of(int64_t n, int64_t k, const std::function<float(Random&, int64_t)>& number) {
  Matrix m{n, k, Tensor::empty({n, k}, DType::bf16)};
  Random draw(RandomKey{11});
  for (int64_t i = 0; i < n * k; ++i) m.rows.data<bf16>()[i] = bf16(number(draw, i));
  return m;
}

float usual(Random& draw, int64_t) { return 0.02F * static_cast<float>(draw.normal()); }

// Undefined where they do not fit.
Tensor packed_weight(const Matrix& m, bool plain) {
  const Tensor packed = Tensor::empty({kernels::cpu().packed_bytes(DType::bf16, m.n, m.k, plain)}, DType::u8);
  const bool fits = kernels::cpu().pack({.type = DType::bf16,
                                         .n = m.n,
                                         .k = m.k,
                                         .rows = m.rows.raw(),
                                         .rows_type = DType::bf16,
                                         .plain = plain,
                                         .packed = packed.raw()});
  return fits ? packed : Tensor();
}

Tensor product(const Matrix& m, const Tensor& packed, int64_t rows) {
  const Tensor x = Tensor::empty({rows, m.k}), y = Tensor::zeros({rows, m.n});
  Random draw(RandomKey{12});
  for (int64_t i = 0; i < rows * m.k; ++i) x.data<float>()[i] = static_cast<float>(draw.normal());
  kernels::cpu().packed_gemm({.m = rows,
                              .n = m.n,
                              .k = m.k,
                              .a = x.raw(),
                              .lda = m.k,
                              .packed = packed.raw(),
                              .type = DType::bf16,
                              .c = y.raw(),
                              .ldc = m.n});
  return y;
}

void expect_lossless(const Matrix& m, std::string_view name) {
  SCOPED_TRACE(name);
  for (const InstructionSet set : instruction_sets()) {
    SCOPED_TRACE(name_of(set));
    choose_instruction_set(set);
    const Tensor compact = packed_weight(m, false), plain = packed_weight(m, true);
    ASSERT_TRUE(compact && plain);
    for (const int64_t rows : {1, 3, 8, 12, 30}) {
      const Tensor got = product(m, compact, rows), want = product(m, plain, rows);
      EXPECT_EQ(std::memcmp(got.raw(), want.raw(), static_cast<size_t>(rows * m.n) * sizeof(float)), 0) << rows;
    }
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < m.n; ++i) ids.push_back(static_cast<int32_t>(i));
    const Tensor out = Tensor::empty({m.n, m.k});
    kernels::cpu().gather({.rows = m.n,
                           .width = m.k,
                           .ids = ids.data(),
                           .table = compact.raw(),
                           .table_type = DType::bf16,
                           .out = out.raw(),
                           .out_type = DType::f32,
                           .packed = true});
    for (int64_t i = 0; i < m.n * m.k; ++i) {
      const float value = static_cast<float>(m.rows.data<bf16>()[i]);
      ASSERT_EQ(std::memcmp(&value, out.data<float>() + i, sizeof value), 0) << "number " << i;
    }
  }
  choose_instruction_set(instruction_sets().front());
}

TEST(CompactPanels, HoldEveryNumberAsItIs) {
  expect_lossless(matrix_of(64, 256, usual), "usual");
  expect_lossless(matrix_of(37, 71, usual), "neither whole panels nor whole words");
  expect_lossless(matrix_of(1, 1, usual), "one number");
  expect_lossless(matrix_of(40, 200, [](Random&, int64_t) { return 0.0F; }), "zeros");
  expect_lossless(matrix_of(40, 200, [](Random&, int64_t i) { return i % 2 == 0 ? -0.0F : 3e38F; }), "ends");
  expect_lossless(matrix_of(33, 300, [](Random& draw, int64_t i) { return i % 3 == 0 ? 0.0F : usual(draw, i); }),
                  "sparse");
  expect_lossless(matrix_of(32, 512,
                            [](Random& draw, int64_t i) {
                              constexpr float rare[] = {1e-40F,  INFINITY, -INFINITY, 1e30F,
                                                        -1e-30F, 0.0F,     -0.0F,     1e-9F};
                              return i % 601 == 600 ? rare[i / 601 % 8] : usual(draw, i);
                            }),
                  "exceptions");
  expect_lossless(
      matrix_of(64, 128, [](Random& draw, int64_t i) { return std::ldexp(usual(draw, i), i / 128 < 32 ? 90 : -90); }),
      "panels of different sizes");
}

TEST(CompactPanels, NotANumberIsKept) {
  const Matrix m = matrix_of(32, 512, [](Random& draw, int64_t i) { return i == 5 ? NAN : usual(draw, i); });
  const Tensor compact = packed_weight(m, false);
  ASSERT_TRUE(compact);
  const Tensor y = product(m, compact, 1);
  EXPECT_TRUE(std::isnan(y.data<float>()[0]));
  for (int64_t i = 1; i < 32; ++i) EXPECT_FALSE(std::isnan(y.data<float>()[i])) << i;
}

TEST(CompactPanels, TakeThreeQuartersOfTheirSize) {
  const int64_t compact = kernels::cpu().packed_bytes(DType::bf16, 2048, 2048, false);
  EXPECT_LT(compact * 8, 2048 * 2048 * 12.2);
  EXPECT_GT(compact * 8, 2048 * 2048 * 12);
}

TEST(CompactPanels, RefuseNumbersWithoutAUsualSize) {
  const Matrix any = matrix_of(64, 512, [](Random& draw, int64_t) {
    const auto bits = static_cast<uint32_t>(draw.below(0x7f80)) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  });
  EXPECT_FALSE(packed_weight(any, false));
  EXPECT_TRUE(packed_weight(any, true));
  // The first panel fits, the second does not.
  EXPECT_FALSE(packed_weight(matrix_of(64, 512,
                                       [](Random& draw, int64_t i) {
                                         return std::ldexp(usual(draw, i),
                                                           i < 32 * 512 ? 0 : static_cast<int>(i % 97) - 48);
                                       }),
                             false));
}

}  // namespace
}  // namespace qkv
