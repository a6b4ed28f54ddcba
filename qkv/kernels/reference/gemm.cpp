#include "qkv/kernels/reference/element.h"
#include "qkv/kernels/reference/reference.h"

namespace qkv::kernels::reference_set {

void gemm(const Gemm& a) {
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
