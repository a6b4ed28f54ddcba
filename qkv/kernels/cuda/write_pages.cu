#include "qkv/kernels/cuda/convert.h"
#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/elements.h"

namespace qkv::kernels::cuda_set {
namespace {

struct Place {
  const void* from;  // the array that the row is of, and its element
  int64_t x;
  void* to;
  int64_t y;
};

// Where part `i` of the keys' rows and then the values' comes from and goes to, or nulls where it goes nowhere; `steps`
// parts of `each` numbers a row.
__device__ inline Place place_of(const WritePages& a, int64_t i, int64_t steps, int64_t each) {
  const int64_t all = a.rows * a.heads * steps;
  const bool values = i >= all;
  if (values) i -= all;
  const int64_t vector = i / steps, j = (i - vector * steps) * each;
  const int64_t row = vector / a.heads, head = vector - row * a.heads;
  if (a.places[row] < 0) return {};
  const int64_t page = a.places[row] / a.page_size, within = a.places[row] - page * a.page_size;
  const ConstHeads& from = values ? a.v : a.k;
  return {from.data, row * from.time_stride + head * from.head_stride + j, values ? a.values : a.keys,
          ((page * a.heads + head) * a.page_size + within) * a.head_dim + j};
}

// A thread takes n neighbours.
template <typename From, typename To, int n>
__global__ void __launch_bounds__(element_block) write_rows(WritePages a) {
  const Part part = part_of_grid();
  const int64_t steps = a.head_dim / n;
  for (int64_t i = part.own; i < 2 * a.rows * a.heads * steps; i += part.step) {
    const Place place = place_of(a, i, steps, n);
    if (place.to == nullptr) continue;
    const Vector<From, n> values = load_vector<n>(static_cast<const From*>(place.from) + place.x);
    Vector<To, n> results;
#pragma unroll
    for (int c = 0; c < n; ++c) results.at[c] = converted<To>(values.at[c]);
    store_vector<n>(static_cast<To*>(place.to) + place.y, results);
  }
}

// A warp takes a block.
template <typename From>
__global__ void __launch_bounds__(element_block) write_blocks(WritePages a) {
  const Part part = part_of_grid();
  const int lane = static_cast<int>(threadIdx.x) % warp_threads;
  const int64_t steps = a.head_dim / 32;
  for (int64_t i = part.own / warp_threads; i < 2 * a.rows * a.heads * steps; i += part.step / warp_threads) {
    const Place place = place_of(a, i, steps, 32);
    if (place.to == nullptr) continue;
    const float x = to_float(static_cast<const From*>(place.from)[place.x + lane]);
    quantize_in_warp(x, lane, static_cast<BlockQ8_0*>(place.to)[place.y / 32]);
  }
}

template <typename From, typename To>
void write_as(const WritePages& a) {
  constexpr int n = 16 / static_cast<int>(std::max(sizeof(From), sizeof(To)));
  bool vectors = a.head_dim % n == 0;
  for (const ConstHeads& from : {a.k, a.v})
    vectors = vectors && reinterpret_cast<uintptr_t>(from.data) % (n * sizeof(From)) == 0 &&
              from.time_stride % n == 0 && from.head_stride % n == 0;
  for (const void* to : {a.keys, a.values})
    vectors = vectors && reinterpret_cast<uintptr_t>(to) % (n * sizeof(To)) == 0;
  const Grid grid = grid_for(2 * a.rows * a.heads * (a.head_dim / (vectors ? n : 1)));
  launch("write_pages", vectors ? write_rows<From, To, n> : write_rows<From, To, 1>, grid, element_block, 0, a);
}

}  // namespace

void write_pages(const WritePages& a) {
  with_type(a.type, [&]<typename From>(From) {
    if (is_block(a.page_type)) {
      const Grid grid = grid_for(2 * a.rows * a.heads * a.head_dim);
      launch("write_pages", write_blocks<From>, grid, element_block, 0, a);
    } else {
      with_type(a.page_type, [&]<typename To>(To) { write_as<From, To>(a); });
    }
  });
}

}  // namespace qkv::kernels::cuda_set
