#include "qkv/kernels/reference/element.h"
#include "qkv/kernels/reference/reference.h"

#include "qkv/kernels/blocks.h"

#include <vector>

namespace qkv::kernels::reference_set {
namespace {

// The product with B's rows taken out of their blocks.
void multiply_blocks(const Gemm& a) {
  std::vector<float> row(static_cast<size_t>(a.k));
  Gemm column = a;
  column.n = 1;
  column.b = row.data();
  column.b_type = DType::f32;
  column.ldb = a.k;
  for (int64_t j = 0; j < a.n; ++j) {
    dequantize_row(a.b_type, static_cast<const char*>(a.b) + bytes_of(a.b_type, j * a.ldb), row.data(), a.k);
    column.c = static_cast<char*>(a.c) + j * size_of(a.c_type);
    column.bias = a.bias != nullptr ? a.bias + j : nullptr;
    gemm(column);
  }
}

}  // namespace

void gemm(const Gemm& a) {
  if (is_block(a.b_type)) return multiply_blocks(a);
  for (int64_t i = 0; i < a.m; ++i)
    for (int64_t j = 0; j < a.n; ++j) {
      double sum = a.bias != nullptr ? a.bias[j] : 0;
      for (int64_t p = 0; p < a.k; ++p) {
        const double left = load(a.a, a.a_type, a.a_transposed ? p * a.lda + i : i * a.lda + p);
        const double right = load(a.b, a.b_type, a.b_transposed ? j * a.ldb + p : p * a.ldb + j);
        sum += left * right;
      }
      const int64_t place = i * a.ldc + j;
      store(a.c, a.c_type, place,
            a.accumulate ? sum + load(a.c, a.c_type, place) : activation_value(a.activation, sum));
    }
}

void sum_rows(const SumRows& a) {
  const int64_t ld = a.ld > 0 ? a.ld : a.width;
  for (int64_t j = 0; j < a.width; ++j) {
    double sum = a.accumulate ? a.out[j] : 0;
    for (int64_t i = 0; i < a.rows; ++i) sum += load(a.x, a.type, i * ld + j);
    a.out[j] = static_cast<float>(sum);
  }
}

}  // namespace qkv::kernels::reference_set
