// Columns of x with values too large to share a scale with the others (LLM.int8(), Dettmers et al. 2022).
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/dispatch.h"
#include "qkv/kernels/cpu/packed.h"
#include "qkv/kernels/cpu/packed_layout.h"
#include "qkv/tensor/tensor.h"

#include <cmath>

namespace qkv::kernels::cpu_set {

std::vector<int64_t> outlier_columns(const PackedGemm& g) {
  std::vector<int64_t> columns;
  const float bound = g.type == DType::i8 ? *outlier_bound(const_cast<void*>(g.packed), g.n, g.k) : 0;
  if (bound <= 0) return columns;
  std::vector<uint8_t> beyond(static_cast<size_t>(g.k), 0);
  with_type(g.a_type, [&](auto t) {
    using T = decltype(t);
    for (int64_t r = 0; r < g.m; ++r) {
      const T* row = static_cast<const T*>(g.a) + r * g.lda;
      for (int64_t p = 0; p < g.k; ++p)
        beyond[static_cast<size_t>(p)] |= std::abs(static_cast<float>(row[p])) > bound ? 1 : 0;
    }
  });
  for (int64_t p = 0; p < g.k; ++p)
    if (beyond[static_cast<size_t>(p)] != 0) columns.push_back(p);
  return columns;
}

void add_outliers(const PackedGemm& g, const std::vector<int64_t>& columns) {
  const int64_t count = static_cast<int64_t>(columns.size());
  const int64_t padded = packed_columns(g.k);
  const Tensor x = Tensor::empty({g.m, count});
  const Tensor w = Tensor::empty({g.n, count});
  with_type(g.a_type, [&](auto t) {
    using T = decltype(t);
    for (int64_t r = 0; r < g.m; ++r)
      for (int64_t i = 0; i < count; ++i)
        x.data<float>()[r * count + i] =
            static_cast<float>(static_cast<const T*>(g.a)[r * g.lda + columns[static_cast<size_t>(i)]]);
  });
  for (int64_t j = 0; j < g.n; ++j) {
    const uint8_t* group = static_cast<const uint8_t*>(g.packed) + j / group_rows * i8_layout.group_bytes(padded);
    const float scale = reinterpret_cast<const float*>(group + i8_layout.end(padded))[j % group_rows];
    for (int64_t i = 0; i < count; ++i) {
      const int64_t p = columns[static_cast<size_t>(i)];
      w.data<float>()[j * count + i] =
          scale * static_cast<float>(group[p / 4 * 64 + 4 * (j % group_rows) + p % 4] - i8_layout.offset);
    }
  }
  gemm({.m = g.m,
        .n = g.n,
        .k = count,
        .a = x.raw(),
        .lda = count,
        .b = w.raw(),
        .ldb = count,
        .b_transposed = true,
        .c = g.c,
        .c_type = g.c_type,
        .ldc = g.ldc,
        .accumulate = true});
}

}  // namespace qkv::kernels::cpu_set
