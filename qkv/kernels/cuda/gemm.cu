#include "qkv/kernels/cuda/activations.h"
#include "qkv/kernels/cuda/cublaslt.h"
#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/elements.h"
#include "qkv/kernels/cuda/gemm_half.h"
#include "qkv/kernels/cuda/gemv.h"
#include "qkv/kernels/cuda/scratch.h"

namespace qkv::kernels::cuda_set {
namespace {

// The product without a library: a block makes 64 x 64 results, a thread 4 x 4 of them, 16 apart.
constexpr int tile = 64, depth = 16, threads = 256, side = 16, each = tile / side;

template <typename A, typename B, typename C>
__global__ void __launch_bounds__(threads) multiply_tile(Gemm g) {
  __shared__ float a_tile[depth][tile + 1], b_tile[depth][tile + 1];
  const int thread = static_cast<int>(threadIdx.x), x = thread % side, y = thread / side;
  const int64_t columns = (g.n + tile - 1) / tile;
  const int64_t i0 = blockIdx.x / columns * tile, j0 = blockIdx.x % columns * tile;
  float sums[each][each] = {};
  for (int64_t p0 = 0; p0 < g.k; p0 += depth) {
    for (int e = thread; e < tile * depth; e += threads) {
      // Neighbouring threads read neighbours, along k or across it.
      const int i = g.a_transposed ? e % tile : e / depth, pa = g.a_transposed ? e / tile : e % depth;
      const int j = g.b_transposed ? e / depth : e % tile, pb = g.b_transposed ? e % depth : e / tile;
      const int64_t row = i0 + i, column = j0 + j, p = p0 + pa, q = p0 + pb;
      a_tile[pa][i] = row < g.m && p < g.k
                          ? to_float(static_cast<const A*>(g.a)[g.a_transposed ? p * g.lda + row : row * g.lda + p])
                          : 0;
      b_tile[pb][j] =
          column < g.n && q < g.k
              ? to_float(static_cast<const B*>(g.b)[g.b_transposed ? column * g.ldb + q : q * g.ldb + column])
              : 0;
    }
    __syncthreads();
    for (int p = 0; p < depth; ++p) {
      float a[each], b[each];
#pragma unroll
      for (int e = 0; e < each; ++e) {
        a[e] = a_tile[p][y + e * side];
        b[e] = b_tile[p][x + e * side];
      }
#pragma unroll
      for (int r = 0; r < each; ++r)
#pragma unroll
        for (int c = 0; c < each; ++c) sums[r][c] += a[r] * b[c];
    }
    __syncthreads();
  }
  for (int r = 0; r < each; ++r)
    for (int c = 0; c < each; ++c) {
      const int64_t i = i0 + y + r * side, j = j0 + x + c * side;
      if (i >= g.m || j >= g.n) continue;
      C& out = static_cast<C*>(g.c)[i * g.ldc + j];
      const float sum = sums[r][c] + (g.bias != nullptr ? g.bias[j] : 0);
      out = from_float<C>(g.accumulate ? sum + to_float(out) : activation_value(g.activation, sum));
    }
}

void multiply_by_tiles(const Gemm& g) {
  const Grid grid{((g.m + tile - 1) / tile) * ((g.n + tile - 1) / tile)};
  with_types("gemm", g.a_type, g.b_type, [&]<typename A, typename B>(A, B) {
    with_type(g.c_type, [&]<typename C>(C) {
      if constexpr (go_together<A, C> && go_together<B, C>) {
        launch("gemm", multiply_tile<A, B, C>, grid, threads, 0, g);
      } else {
        refuse_mixture("gemm");
      }
    });
  });
}

// What the library did not do on its way out; bias: null for none.
template <typename C, Activation kind>
__global__ void __launch_bounds__(element_block) finish_result(Gemm g) {
  const Part part = part_of_grid();
  for (int64_t e = part.own; e < g.m * g.n; e += part.step) {
    C& out = static_cast<C*>(g.c)[e / g.n * g.ldc + e % g.n];
    out = from_float<C>(activation_value(kind, to_float(out) + (g.bias != nullptr ? g.bias[e % g.n] : 0)));
  }
}

void finish(const Gemm& g) {
  with_type(g.c_type, [&]<typename C>(C) {
    with_activation(g.activation, [&](auto kind) {
      launch("gemm", finish_result<C, kind.value>, grid_for(g.m * g.n), element_block, 0, g);
    });
  });
}

void copy_bias(const Gemm& g, void* own) {
  copy({.rank = 1, .size = {g.n}, .x = g.bias, .x_stride = {1}, .y = own, .y_type = g.c_type, .y_stride = {1}});
}

bool multiply_by_library(const Gemm& g);

// From f32 to a 16-bit type, by way of an f32 result.
bool multiply_and_round(const Gemm& g) {
  if (g.accumulate) return false;
  const Scratch<float> result(g.m * g.n);
  Gemm call = g;
  call.c = result.data();
  call.c_type = DType::f32;
  call.ldc = g.n;
  if (!multiply_by_library(call)) return false;
  copy({.rank = 2,
        .size = {g.m, g.n},
        .x = result.data(),
        .x_stride = {g.n, 1},
        .y = g.c,
        .y_type = g.c_type,
        .y_stride = {g.ldc, 1}});
  return true;
}

// With bias and activation on the library's way out, as far as it has them: it takes a bias of C's type that begins at
// 16 bytes, and few activations. The rest follows in a kernel of its own, where a 16-bit result rounds twice.
bool multiply_and_finish(const Gemm& g) {
  Gemm call = g, rest = g;
  rest.bias = nullptr;
  if (g.accumulate) call.activation = rest.activation = Activation::none;
  if (!cublaslt_has(call.activation)) call.activation = Activation::none;
  const void* bias = g.c_type == DType::f32 ? g.bias : g.rounded_bias;
  const bool as_it_is = bias != nullptr && reinterpret_cast<uintptr_t>(bias) % 16 == 0;
  const Scratch<char> own(g.bias == nullptr || as_it_is ? 0 : g.n * size_of(g.c_type));
  if (own.data() != nullptr) {
    copy_bias(g, own.data());
    bias = own.data();
  }
  if (!multiply_by_cublaslt(call, bias)) return false;
  if (call.activation != rest.activation) finish(rest);
  return true;
}

// Through the library where it can: what it refuses to do at once it may do in parts.
bool multiply_by_library(const Gemm& g) {
  if (!has_cublaslt()) return false;
  if (g.a_type == DType::f32 && g.c_type != DType::f32) return multiply_and_round(g);
  if (multiply_and_finish(g)) return true;
  Gemm call = g, rest = g;
  call.bias = nullptr;
  call.activation = Activation::none;
  if (g.accumulate) rest.activation = Activation::none;
  if (rest.bias == nullptr && rest.activation == Activation::none) return false;
  if (!multiply_by_cublaslt(call, nullptr)) return false;
  finish(rest);
  return true;
}

// Of two types, the matrix that is not f32 becomes so first.
bool multiply_mixed(const Gemm& g) {
  if (!has_cublaslt() || (g.a_type != DType::f32 && g.b_type != DType::f32)) return false;
  const bool left = g.a_type != DType::f32;
  const bool transposed = left ? g.a_transposed : g.b_transposed;
  const int64_t outer = left ? g.m : g.k, inner = left ? g.k : g.n;
  const int64_t rows = transposed ? inner : outer, columns = transposed ? outer : inner;
  const Scratch<float> wide(rows * columns);
  copy({.rank = 2,
        .size = {rows, columns},
        .x = left ? g.a : g.b,
        .x_type = left ? g.a_type : g.b_type,
        .x_stride = {left ? g.lda : g.ldb, 1},
        .y = wide.data(),
        .y_stride = {columns, 1}});
  Gemm call = g;
  call.a_type = call.b_type = DType::f32;
  (left ? call.a : call.b) = wide.data();
  (left ? call.lda : call.ldb) = columns;
  return multiply_by_library(call);
}

void multiply(const Gemm& g) {
  if (multiply_few_rows(g)) return;
  if (g.a_type == g.b_type ? multiply_by_library(g) : multiply_mixed(g)) return;
  if (!multiply_half(g)) multiply_by_tiles(g);
}

// B's rows are taken out of their blocks some at a time, so that they need little memory.
void multiply_blocks(const Gemm& g) {
  constexpr int64_t most_numbers = int64_t{1} << 24;
  constexpr int64_t even = 64;  // every part begins where vectors may
  const int64_t fitting = most_numbers / std::max(g.k, int64_t{1}) / even * even;
  const int64_t step = std::min(g.n, std::max(even, fitting));
  const Scratch<float> rows(step * g.k);
  for (int64_t j = 0; j < g.n; j += step) {
    Gemm part = g;
    part.n = std::min(step, g.n - j);
    copy({.rank = 2,
          .size = {part.n, g.k},
          .x = static_cast<const char*>(g.b) + bytes_of(g.b_type, j * g.k),
          .x_type = g.b_type,
          .x_stride = {g.k, 1},
          .y = rows.data(),
          .y_stride = {g.k, 1}});
    part.b = rows.data();
    part.b_type = DType::f32;
    part.ldb = g.k;
    part.c = static_cast<char*>(g.c) + j * size_of(g.c_type);
    part.bias = g.bias != nullptr ? g.bias + j : nullptr;
    part.rounded_bias = nullptr;
    multiply(part);
  }
}

}  // namespace

void gemm(const Gemm& a) {
  if (a.m == 0 || a.n == 0) return;
  if (is_block(a.b_type)) return multiply_blocks(a);
  multiply(a);
}

}  // namespace qkv::kernels::cuda_set
