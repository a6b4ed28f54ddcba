#include "qkv/kernels/cuda/gemm_half.h"

#include "qkv/kernels/cuda/activations.h"
#include "qkv/kernels/cuda/tensor_core.h"

#include <algorithm>

namespace qkv::kernels {
namespace {

// A block makes 128 x 128 results; each of its 8 warps 64 x 32 of them, in fragments of 16 x 8. Tiles of A and B, 32
// deep, come into shared memory while those before are multiplied.
constexpr int tile = 128, depth = 32, stages = 3, threads = 256;
constexpr int warp_rows = 64, warp_columns = 32, row_fragments = warp_rows / 16, column_fragments = warp_columns / 8;
constexpr int deep_pitch = depth + 8, wide_pitch = tile + 8;  // padded: the rows that ldmatrix reads lie in other banks
constexpr int part = tile * deep_pitch;                       // elements of a tile, whichever way it lies
static_assert(depth * wide_pitch <= part);
constexpr int result_pitch = tile + 4;
constexpr size_t shared_bytes =
    std::max(size_t{2} * stages * part * sizeof(uint16_t), size_t{tile} * result_pitch * sizeof(float));

// Begins to copy rows x columns elements of a matrix, zeros beyond its end.
template <typename T, int rows, int columns, int pitch>
__device__ inline void copy_tile(T* to, const void* matrix, int64_t ld, int64_t row, int64_t last_row, int64_t column,
                                 int64_t last_column) {
  const T* from = static_cast<const T*>(matrix);
  for (int e = static_cast<int>(threadIdx.x); e < rows * columns / 8; e += threads) {
    const int r = e / (columns / 8), c = e % (columns / 8) * 8;
    const bool there = row + r < last_row && column + c < last_column;
    cp_async_16(to + r * pitch + c, there ? from + (row + r) * ld + column + c : from, there);
  }
}

template <typename T, bool a_transposed, bool b_transposed>
__global__ void __launch_bounds__(threads) multiply_tile(Gemm g) {
  T* const shared = dynamic_shared<T>();
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  // Blocks that run together share rows of tiles, eight at a time, and so what they read.
  constexpr int64_t together = 8;
  const int64_t row_tiles = (g.m + tile - 1) / tile, column_tiles = (g.n + tile - 1) / tile;
  const int64_t band = blockIdx.x / (together * column_tiles), at = blockIdx.x % (together * column_tiles);
  const int64_t band_rows = row_tiles - band * together < together ? row_tiles - band * together : together;
  const int64_t i0 = (band * together + at % band_rows) * tile, j0 = at / band_rows * tile;
  const int64_t steps = (g.k + depth - 1) / depth;

  const auto copy_step = [&](int64_t step) {
    T* a = shared + step % stages * 2 * part;
    T* b = a + part;
    const int64_t p = step * depth;
    if constexpr (a_transposed) {
      copy_tile<T, depth, tile, wide_pitch>(a, g.a, g.lda, p, g.k, i0, g.m);
    } else {
      copy_tile<T, tile, depth, deep_pitch>(a, g.a, g.lda, i0, g.m, p, g.k);
    }
    if constexpr (b_transposed) {
      copy_tile<T, tile, depth, deep_pitch>(b, g.b, g.ldb, j0, g.n, p, g.k);
    } else {
      copy_tile<T, depth, tile, wide_pitch>(b, g.b, g.ldb, p, g.k, j0, g.n);
    }
  };

  float sums[row_fragments][column_fragments][4] = {};
  const int row = warp / 4 * warp_rows, column = warp % 4 * warp_columns;  // of the warp's results
  // Which row of which 8 x 8 matrix the lane points ldmatrix to: the matrices of A go down, then along k; of B the
  // other way round.
  const int of_matrix = lane % 8, first = lane / 8 % 2 * 8, second = lane / 16 * 8;
  for (int step = 0; step < stages - 1; ++step) {
    if (step < steps) copy_step(step);
    cp_async_commit();
  }
  for (int64_t step = 0; step < steps; ++step) {
    cp_async_wait<stages - 2>();
    __syncthreads();  // this step's tiles are there, and the tiles that the next copy writes over are done with
    if (step + stages - 1 < steps) copy_step(step + stages - 1);
    cp_async_commit();
    const T* a = shared + step % stages * 2 * part;
    const T* b = a + part;
#pragma unroll
    for (int k = 0; k < depth; k += 16) {
      uint32_t left[row_fragments][4], right[column_fragments / 2][4];
#pragma unroll
      for (int r = 0; r < row_fragments; ++r) {
        const int i = row + 16 * r + first;
        if constexpr (a_transposed) {
          ldmatrix_x4_transposed(left[r], a + (k + second + of_matrix) * wide_pitch + i);
        } else {
          ldmatrix_x4(left[r], a + (i + of_matrix) * deep_pitch + k + second);
        }
      }
#pragma unroll
      for (int c = 0; c < column_fragments / 2; ++c) {
        const int j = column + 16 * c + second;
        if constexpr (b_transposed) {
          ldmatrix_x4(right[c], b + (j + of_matrix) * deep_pitch + k + first);
        } else {
          ldmatrix_x4_transposed(right[c], b + (k + first + of_matrix) * wide_pitch + j);
        }
      }
#pragma unroll
      for (int r = 0; r < row_fragments; ++r)
#pragma unroll
        for (int c = 0; c < column_fragments; ++c)
          mma_m16n8k16<T>(sums[r][c], left[r], right[c / 2][c % 2 * 2], right[c / 2][c % 2 * 2 + 1]);
    }
  }

  // Through shared memory, so that neighbours write neighbours.
  cp_async_wait<0>();
  __syncthreads();
  float* const results = dynamic_shared<float>();
#pragma unroll
  for (int r = 0; r < row_fragments; ++r)
#pragma unroll
    for (int c = 0; c < column_fragments; ++c)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        results[(row + 16 * r + lane / 4 + e / 2 * 8) * result_pitch + column + 8 * c + lane % 4 * 2 + e % 2] =
            sums[r][c][e];
  __syncthreads();
  for (int e = static_cast<int>(threadIdx.x); e < tile * tile; e += threads) {
    const int64_t i = i0 + e / tile, j = j0 + e % tile;
    if (i >= g.m || j >= g.n) continue;
    const float sum = results[e / tile * result_pitch + e % tile] + (g.bias != nullptr ? g.bias[j] : 0);
    const int64_t place = i * g.ldc + j;
    store_number(g.c, g.c_type, place,
                 g.accumulate ? sum + load_number(g.c, g.c_type, place) : activation_value(g.activation, sum));
  }
}

template <typename T>
void start_tiles(const Gemm& g) {
  const Grid grid{((g.m + tile - 1) / tile) * ((g.n + tile - 1) / tile)};
  launch("gemm",
         g.a_transposed ? (g.b_transposed ? multiply_tile<T, true, true> : multiply_tile<T, true, false>)
                        : (g.b_transposed ? multiply_tile<T, false, true> : multiply_tile<T, false, false>),
         grid, threads, shared_bytes, g);
}

}  // namespace

bool multiply_half(const Gemm& g) {
  const int64_t a_width = g.a_transposed ? g.m : g.k, b_width = g.b_transposed ? g.k : g.n;
  if (g.a_type != g.b_type || g.a_type == DType::f32 || g.k == 0) return false;
  for (const int64_t elements : {g.lda, g.ldb, a_width, b_width})
    if (!vectors_at(g.a_type, elements, {g.a, g.b})) return false;
  g.a_type == DType::bf16 ? start_tiles<bf16>(g) : start_tiles<f16>(g);
  return true;
}

}  // namespace qkv::kernels
