#include "qkv/kernels/cuda/blocks.h"
#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/rows.h"

namespace qkv::kernels::cuda_set {
namespace {

template <typename From, typename T, int team, bool vectors>
__global__ void __launch_bounds__(row_block) gather_rows(Gather a) {
  const int64_t row = own_row<team>();
  if (row >= a.rows) return;
  const Part part = part_of_row<team>();
  const From* from = static_cast<const From*>(a.table) + a.ids[row] * a.width;
  T* out = static_cast<T*>(a.out) + row * a.width;
  if (a.accumulate) {
    transform<vectors>(
        part, out, a.width, [](int64_t, float x, float before) { return x + before; }, from, out);
  } else {
    transform<vectors>(
        part, out, a.width, [](int64_t, float x) { return x; }, from);
  }
}

// A thread takes a group of 32 numbers.
template <DType type, typename T>
__global__ void __launch_bounds__(element_block) gather_blocks(Gather a) {
  const int64_t groups = a.width / 32;
  const Part part = part_of_grid();
  for (int64_t i = part.own; i < a.rows * groups; i += part.step) {
    const int64_t row = i / groups, g = i % groups;
    const int64_t begin = a.ids[row] * (a.width / BlockReader<type>::length);
    const Group group = read_group<type>(static_cast<const typename BlockReader<type>::Block*>(a.table) + begin, g);
    T* out = static_cast<T*>(a.out) + row * a.width + g * 32;
#pragma unroll
    for (int j = 0; j < 32; ++j) {
      const float value = number_of<type>(group, j);
      out[j] = from_float<T>(a.accumulate ? value + to_float(out[j]) : value);
    }
  }
}

constexpr int scatter_block = 256;

// A block looks whether its row of x is the first with its id; if so, it adds all rows with that id, in order, to
// out's row. So no two blocks write to the same row, and no order is left to chance.
template <typename T>
__global__ void __launch_bounds__(scatter_block) scatter_rows(ScatterAdd a) {
  __shared__ int32_t found[scatter_block];  // rows with the id among those looked at
  __shared__ int counts[scatter_block / warp_threads];
  const int64_t own = blockIdx.x;
  const int32_t id = a.ids[own];
  if (id == a.padding) return;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / warp_threads, lane = thread % warp_threads;
  float* out = a.out + id * a.width;
  for (int64_t begin = 0; begin < a.rows; begin += scatter_block) {
    const int64_t i = begin + thread;
    const bool same = i < a.rows && a.ids[i] == id;
    const unsigned lanes = __ballot_sync(whole_warp, same);
    if (lane == 0) counts[warp] = __popc(lanes);
    __syncthreads();
    int before = 0, all = 0;
    for (int w = 0; w < scatter_block / warp_threads; ++w) {
      before += w < warp ? counts[w] : 0;
      all += counts[w];
    }
    if (same) found[before + __popc(lanes & ((1U << lane) - 1))] = static_cast<int32_t>(thread);
    __syncthreads();
    if (all > 0 && begin + found[0] < own) return;
    if (all > 0)
      for (int64_t j = thread; j < a.width; j += scatter_block) {
        float sum = out[j];
        for (int f = 0; f < all; ++f) sum += to_float(static_cast<const T*>(a.x)[(begin + found[f]) * a.width + j]);
        out[j] = sum;
      }
  }
}

}  // namespace

void gather(const Gather& a) {
  if (is_block(a.table_type)) {
    with_type(a.out_type, [&]<typename T>(T) {
      with_block_type(a.table_type, [&](auto type) {
        launch("gather", gather_blocks<type.value, T>, grid_for(a.rows * (a.width / 32)), element_block, 0, a);
      });
    });
    return;
  }
  // The vectors of 16-bit types are the longer ones: where they stand, f32's do.
  const bool aligned = vectors_at(DType::bf16, a.width, {a.table, a.out});
  with_types("gather", a.table_type, a.out_type, [&]<typename From, typename T>(From, T) {
    with_teams(a.rows, a.width, aligned, [&](auto team, auto vectors, Grid grid) {
      launch("gather", gather_rows<From, T, team.value, vectors.value>, grid, row_block, 0, a);
    });
  });
}

void scatter_add(const ScatterAdd& a) {
  with_type(a.type, [&]<typename T>(T) { launch("scatter_add", scatter_rows<T>, Grid{a.rows}, scatter_block, 0, a); });
}

}  // namespace qkv::kernels::cuda_set
