// Products with packed weights. Blocks and integers are multiplied with A's rows rounded to integers; f32, bf16 and f16
// are rows for the library.
#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/packed/product.h"
#include "qkv/kernels/cuda/rows.h"

namespace qkv::kernels::cuda_set {
namespace {

// A row of integers and its scale, by a block.
template <typename T>
__global__ void __launch_bounds__(row_block) pack_integers(Pack a, IntegerParts to) {
  const int64_t j = blockIdx.x;
  const T* row = static_cast<const T*>(a.rows) + j * a.k;
  float own = 0;
  for (int64_t p = threadIdx.x; p < a.k; p += row_block) own = fmaxf(own, fabsf(to_float(row[p])));
  const float most = reduce<row_block>(own, Largest());
  const float inverse = most > 0 ? 127 / most : 0;
  const int64_t length = whole_groups(a.k);
  for (int64_t p = threadIdx.x; p < length; p += row_block)
    to.codes[j * length + p] = p < a.k ? static_cast<int8_t>(rintf(to_float(row[p]) * inverse)) : int8_t{0};
  if (threadIdx.x == 0) to.scales[j] = most / 127;
  if (threadIdx.x == 0 && j == 0) *to.outlier = a.outlier;
}

void copy_rows(const void* x, DType x_type, int64_t ld, int64_t rows, int64_t width, void* y, DType y_type) {
  copy({.rank = 2,
        .size = {rows, width},
        .x = x,
        .x_type = x_type,
        .x_stride = {ld, 1},
        .y = y,
        .y_type = y_type,
        .y_stride = {width, 1}});
}

void multiply_plain(const PackedGemm& g) {
  Gemm call{.m = g.m,
            .n = g.n,
            .k = g.k,
            .a = g.a,
            .a_type = g.a_type,
            .lda = g.lda,
            .b = g.packed,
            .b_type = g.type,
            .ldb = g.k,
            .b_transposed = true,
            .c = g.c,
            .c_type = g.c_type,
            .ldc = g.ldc,
            .bias = g.bias,
            .activation = g.activation};
  const Scratch<char> rows(g.a_type == g.type ? 0 : g.m * g.k * size_of(g.type));
  if (g.a_type != g.type) {
    copy_rows(g.a, g.a_type, g.lda, g.m, g.k, rows.data(), g.type);
    call.a = rows.data();
    call.a_type = g.type;
    call.lda = g.k;
  }
  gemm(call);
}

}  // namespace

int64_t packed_bytes(DType type, int64_t n, int64_t k, bool) {
  return type == DType::i8 ? IntegerParts::bytes(n, k) : n * bytes_of(type, k);
}

bool pack(const Pack& a) {
  if (is_block(a.type)) {
    cuda::copy_on_device(a.packed, a.rows, static_cast<size_t>(packed_bytes(a.type, a.n, a.k, true)));
  } else if (a.type == DType::i8) {
    with_type(a.rows_type, [&]<typename T>(T) {
      launch("pack", pack_integers<T>, Grid{a.n}, row_block, 0, a, IntegerParts(a.packed, a.n));
    });
  } else {
    copy_rows(a.rows, a.rows_type, a.k, a.n, a.k, a.packed, a.type);
  }
  return true;
}

void packed_gemm(const PackedGemm& g) {
  if (g.m == 0 || g.n == 0) return;
  if (is_float(g.type)) return multiply_plain(g);
  const RoundedRows rounded(g);
  if (g.type == DType::i8) {
    multiply_integers(g, rounded.view());
  } else if (block_length(g.type) == 32) {
    multiply_small_blocks(g, rounded.view());
  } else {
    multiply_large_blocks(g, rounded.view());
  }
}

}  // namespace qkv::kernels::cuda_set
