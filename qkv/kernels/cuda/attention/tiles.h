// The two ways to multiply tiles that the kernels of attention are made of: on tensor cores in bf16 or f16, and on
// ordinary ones in f32. A block holds a tile of scores, `rows` x `columns`, and sums, `rows` x `width`, in the
// registers of its threads; each thread has parts of `own_rows` rows, and the `row_lanes` lanes that share a row are
// neighbours in a warp. X and Y are tiles in shared memory of `width` numbers a row. head_dim fills `width` up, or the
// rest is zeros.
#pragma once

#include "qkv/kernels/cuda/attention/rows.h"
#include "qkv/kernels/cuda/reduce.h"

namespace qkv::kernels {

// Sets a thread's part of a tile to zeros.
template <int rows, int columns, typename Part>
__device__ inline void clear(Part& part) {
#pragma unroll
  for (int r = 0; r < rows; ++r)
#pragma unroll
    for (int c = 0; c < columns; ++c) part.at(r, c) = 0;
}

// A warp has `bands` times 16 rows: with two, what it reads of Y serves twice, but sums fill twice the registers.
template <typename T_, int width_, int bands, int columns_>
struct TensorCoreTiles {
  using T = T_;
  static constexpr int width = width_, rows = 64 * bands, columns = columns_;
  static constexpr int threads = 128;
  static constexpr int row_lanes = 4, own_rows = 2 * bands, own_columns = columns / row_lanes,
                       own_sums = width / row_lanes;
  static constexpr int stages = 2;   // tiles of keys and values in flight
  static constexpr int scratch = 0;  // f32 numbers of shared memory for itself
  static constexpr int stride = tile_stride<T, width>;

  // By bands, and 8 columns, the sums of one instruction; see mma_m16n8k16().
  template <int count>
  struct Part {
    float of[bands][count / 2][4];
    __device__ float& at(int r, int c) { return of[r / 2][c / 2][2 * (r % 2) + c % 2]; }
  };
  using Scores = Part<own_columns>;
  using Sums = Part<own_sums>;

  __device__ static int lane() { return static_cast<int>(threadIdx.x) % warp_threads; }
  __device__ static int first_row() { return static_cast<int>(threadIdx.x) / warp_threads * 16 * bands; }
  __device__ static int row(int r) { return first_row() + r / 2 * 16 + lane() / 4 + 8 * (r % 2); }
  __device__ static int column(int c) { return c / 2 * 8 + lane() % 4 * 2 + c % 2; }
  __device__ static int sum_column(int c) { return column(c); }

  // scores = X Y^T
  __device__ static void multiply(Scores& scores, const T* x, const T* y) {
    clear<own_rows, own_columns>(scores);
    const T* x_row = x + (first_row() + lane() % 16) * stride + lane() / 16 * 8;
    const T* y_row = y + (lane() / 16 * 8 + lane() % 8) * stride + lane() / 8 % 2 * 8;
#pragma unroll
    for (int k = 0; k < width; k += 16) {
      uint32_t a[bands][4];
#pragma unroll
      for (int m = 0; m < bands; ++m) ldmatrix_x4(a[m], x_row + m * 16 * stride + k);
#pragma unroll
      for (int n = 0; n < columns; n += 16) {
        uint32_t b[4];
        ldmatrix_x4(b, y_row + n * stride + k);
#pragma unroll
        for (int m = 0; m < bands; ++m) {
          mma_m16n8k16<T>(scores.of[m][n / 8], a[m], b[0], b[1]);
          mma_m16n8k16<T>(scores.of[m][n / 8 + 1], a[m], b[2], b[3]);
        }
      }
    }
  }

  // sums += P Y: the scores' places are those of the left factor already.
  __device__ static void add_product(Sums& sums, const Scores& p, const T* y, float*) {
    const T* y_row = y + lane() % 16 * stride + lane() / 16 * 8;
#pragma unroll
    for (int k = 0; k < columns; k += 16) {
      uint32_t a[bands][4];
#pragma unroll
      for (int m = 0; m < bands; ++m)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const float* two = p.of[m][k / 8 + i / 2] + i % 2 * 2;
          a[m][i] = pair_of<T>(two[0], two[1]);
        }
#pragma unroll
      for (int n = 0; n < width; n += 16) {
        uint32_t b[4];
        ldmatrix_x4_transposed(b, y_row + k * stride + n);
#pragma unroll
        for (int m = 0; m < bands; ++m) {
          mma_m16n8k16<T>(sums.of[m][n / 8], a[m], b[0], b[1]);
          mma_m16n8k16<T>(sums.of[m][n / 8 + 1], a[m], b[2], b[3]);
        }
      }
    }
  }
};

template <int width_, int rows_, int columns_>
struct PlainTiles {
  using T = float;
  static constexpr int width = width_, rows = rows_, columns = columns_;
  static constexpr int threads = 128;  // 16 x 8
  static constexpr int row_lanes = 8, own_rows = rows / 16, own_columns = columns / row_lanes,
                       own_sums = width / row_lanes;
  static constexpr int stages = 1;
  static constexpr int stride = tile_stride<T, width>;
  static constexpr int p_stride = columns + 4;
  static constexpr int scratch = rows * p_stride;

  template <int count>
  struct Part {
    float of[own_rows][count];
    __device__ float& at(int r, int c) { return of[r][c]; }
  };
  using Scores = Part<own_columns>;
  using Sums = Part<own_sums>;

  __device__ static int across() { return static_cast<int>(threadIdx.x) % row_lanes; }
  __device__ static int row(int r) { return static_cast<int>(threadIdx.x) / row_lanes + 16 * r; }
  __device__ static int column(int c) { return across() + row_lanes * c; }
  __device__ static int sum_column(int c) { return c / 4 * 4 * row_lanes + across() * 4 + c % 4; }

  __device__ static void multiply(Scores& scores, const T* x, const T* y) {
    clear<own_rows, own_columns>(scores);
#pragma unroll 4
    for (int k = 0; k < width; k += 4) {
      Vector<float> a[own_rows], b[own_columns];
#pragma unroll
      for (int r = 0; r < own_rows; ++r) a[r] = load_vector<4>(x + row(r) * stride + k);
#pragma unroll
      for (int c = 0; c < own_columns; ++c) b[c] = load_vector<4>(y + column(c) * stride + k);
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int r = 0; r < own_rows; ++r)
#pragma unroll
          for (int c = 0; c < own_columns; ++c) scores.of[r][c] = fmaf(a[r].at[i], b[c].at[i], scores.of[r][c]);
    }
  }

  // P goes through shared memory, each warp its own rows.
  __device__ static void add_product(Sums& sums, const Scores& p, const T* y, float* shared_p) {
    __syncwarp();
#pragma unroll
    for (int r = 0; r < own_rows; ++r)
#pragma unroll
      for (int c = 0; c < own_columns; ++c) shared_p[row(r) * p_stride + column(c)] = p.of[r][c];
    __syncwarp();
#pragma unroll 1
    for (int k = 0; k < columns; k += 4) {
      Vector<float> a[own_rows];
#pragma unroll
      for (int r = 0; r < own_rows; ++r) a[r] = load_vector<4>(shared_p + row(r) * p_stride + k);
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int n = 0; n < own_sums; n += 4) {
          const Vector<float> b = load_vector<4>(y + (k + i) * stride + sum_column(n));
#pragma unroll
          for (int j = 0; j < 4; ++j)
#pragma unroll
            for (int r = 0; r < own_rows; ++r) sums.of[r][n + j] = fmaf(a[r].at[i], b.at[j], sums.of[r][n + j]);
        }
    }
  }
};

// The value of all lanes that share a row.
template <typename Tiles, typename Op>
__device__ inline float reduce_row(float value, Op op) {
#pragma unroll
  for (int step = Tiles::row_lanes / 2; step > 0; step /= 2)
    value = op(value, __shfl_xor_sync(whole_warp, value, step));
  return value;
}

// Writes sums, row r times factors[r], to a head's rows from `first` on, through `tile`, a tile in shared memory that
// the block has done with.
template <typename Tiles>
__device__ inline void store_sums(typename Tiles::Sums& sums, const float (&factors)[Tiles::own_rows],
                                  typename Tiles::T* tile, const HeadRows& to, int first) {
  using T = typename Tiles::T;
#pragma unroll
  for (int r = 0; r < Tiles::own_rows; ++r)
#pragma unroll
    for (int c = 0; c < Tiles::own_sums; ++c)
      tile[Tiles::row(r) * Tiles::stride + Tiles::sum_column(c)] = from_float<T>(sums.at(r, c) * factors[r]);
  __syncthreads();
  store_rows<T, Tiles::width, Tiles::threads>(tile, to, first, Tiles::rows);
}

}  // namespace qkv::kernels
