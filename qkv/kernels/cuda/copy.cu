#include "qkv/kernels/cuda/blocks.h"
#include "qkv/kernels/cuda/convert.h"
#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/elements.h"

#include <limits>

namespace qkv::kernels::cuda_set {
namespace {

int64_t count_of(const Copy& a) {
  int64_t count = 1;
  for (int d = 0; d < a.rank; ++d) count *= a.size[d];
  return count;
}

void remove_dim(Copy& a, int d) {
  --a.rank;
  for (; d < a.rank; ++d) {
    a.size[d] = a.size[d + 1];
    a.x_stride[d] = a.x_stride[d + 1];
    a.y_stride[d] = a.y_stride[d + 1];
  }
}

// The same copy with as few dimensions as possible, at least one.
Copy collapsed(Copy a) {
  for (int d = a.rank - 1; d >= 0 && a.rank > 1; --d)
    if (a.size[d] == 1) remove_dim(a, d);
  for (int d = a.rank - 2; d >= 0; --d) {
    if (a.x_stride[d] != a.size[d + 1] * a.x_stride[d + 1] || a.y_stride[d] != a.size[d + 1] * a.y_stride[d + 1])
      continue;
    a.size[d + 1] *= a.size[d];
    remove_dim(a, d);
  }
  if (a.rank == 0) {
    a.rank = 1;
    a.size[0] = a.x_stride[0] = a.y_stride[0] = 1;
  }
  return a;
}

struct Places {
  int64_t x = 0, y = 0;
};

// Where element `i` of the first `rank` dimensions stands.
__device__ inline Places places_of(const Copy& a, uint32_t i, int rank) {
  Places places;
  if (a.place != nullptr) places.y = *a.place * a.place_stride;
  for (int d = rank - 1; d >= 0; --d) {
    const uint32_t size = static_cast<uint32_t>(a.size[d]), at = i % size;
    i /= size;
    places.x += at * a.x_stride[d];
    places.y += at * a.y_stride[d];
  }
  return places;
}

// A thread takes n neighbours of the last dimension; n > 1: it is dense on both sides.
template <typename From, typename To, int n>
__global__ void __launch_bounds__(element_block) copy_elements(Copy a, uint32_t rows, uint32_t steps) {
  const Part part = part_of_grid();
  const int last = a.rank - 1;
  for (int64_t i = part.own; i < static_cast<int64_t>(rows) * steps; i += part.step) {
    const uint32_t row = static_cast<uint32_t>(i) / steps;
    const int64_t j = (static_cast<uint32_t>(i) - row * steps) * static_cast<int64_t>(n);
    const Places places = places_of(a, row, last);
    const From* x = static_cast<const From*>(a.x) + places.x + j * a.x_stride[last];
    To* y = static_cast<To*>(a.y) + places.y + j * a.y_stride[last];
    const Vector<From, n> values = load_vector<n>(x);
    Vector<To, n> results;
#pragma unroll
    for (int c = 0; c < n; ++c) results.at[c] = converted<To>(values.at[c]);
    store_vector<n>(y, results);
  }
}

template <typename From, typename To>
void copy_as(const Copy& a) {
  constexpr int n = 16 / static_cast<int>(std::max(sizeof(From), sizeof(To)));
  const int last = a.rank - 1;
  bool vectors = a.x_stride[last] == 1 && a.y_stride[last] == 1 && a.size[last] % n == 0 &&
                 reinterpret_cast<uintptr_t>(a.x) % (n * sizeof(From)) == 0 &&
                 reinterpret_cast<uintptr_t>(a.y) % (n * sizeof(To)) == 0;
  if (a.place != nullptr) vectors = vectors && a.place_stride % n == 0;
  for (int d = 0; d < last; ++d) vectors = vectors && a.x_stride[d] % n == 0 && a.y_stride[d] % n == 0;
  const int64_t rows = count_of(a) / a.size[last], steps = a.size[last] / (vectors ? n : 1);
  launch("copy", vectors ? copy_elements<From, To, n> : copy_elements<From, To, 1>, grid_for(rows * steps),
         element_block, 0, a, static_cast<uint32_t>(rows), static_cast<uint32_t>(steps));
}

constexpr int tile = 32, tile_rows = 8;

// x is dense along one dimension, y along another: the last but one and the last of `a`. Tiles of both go through
// shared memory, so that reads and writes are of neighbours.
template <typename T>
__global__ void __launch_bounds__(tile* tile_rows) turn(Copy a, uint32_t x_tiles, uint32_t y_tiles) {
  __shared__ T shared[tile][tile + 1];
  const int lane = static_cast<int>(threadIdx.x) % tile, first = static_cast<int>(threadIdx.x) / tile;
  const int of_x = a.rank - 2, of_y = a.rank - 1;
  const uint32_t tiles = x_tiles * y_tiles, at = blockIdx.x % tiles;
  const Places places = places_of(a, blockIdx.x / tiles, of_x);
  const int64_t i = static_cast<int64_t>(at / y_tiles) * tile, j = static_cast<int64_t>(at % y_tiles) * tile;
  const T* x = static_cast<const T*>(a.x) + places.x;
  T* y = static_cast<T*>(a.y) + places.y;
  for (int r = first; r < tile; r += tile_rows)
    if (i + lane < a.size[of_x] && j + r < a.size[of_y]) shared[r][lane] = x[i + lane + (j + r) * a.x_stride[of_y]];
  __syncthreads();
  for (int r = first; r < tile; r += tile_rows)
    if (i + r < a.size[of_x] && j + lane < a.size[of_y]) y[(i + r) * a.y_stride[of_x] + j + lane] = shared[lane][r];
}

int dense_dim(const Copy& a, const int64_t* strides) {
  for (int d = a.rank - 1; d >= 0; --d)
    if (strides[d] == 1 && a.size[d] >= tile_rows) return d;
  return -1;
}

void swap_dims(Copy& a, int d, int e) {
  std::swap(a.size[d], a.size[e]);
  std::swap(a.x_stride[d], a.x_stride[e]);
  std::swap(a.y_stride[d], a.y_stride[e]);
}

// Whether turn() was the way.
template <typename T>
bool turned(Copy a) {
  const int of_x = dense_dim(a, a.x_stride), of_y = dense_dim(a, a.y_stride);
  if (of_x < 0 || of_y < 0 || of_x == of_y || a.x_stride[of_y] == 1) return false;
  swap_dims(a, of_y, a.rank - 1);
  swap_dims(a, of_x == a.rank - 1 ? of_y : of_x, a.rank - 2);
  const int64_t x_tiles = (a.size[a.rank - 2] + tile - 1) / tile, y_tiles = (a.size[a.rank - 1] + tile - 1) / tile;
  const int64_t others = count_of(a) / (a.size[a.rank - 2] * a.size[a.rank - 1]);
  launch("copy", turn<T>, Grid{others * x_tiles * y_tiles}, tile * tile_rows, 0, a, static_cast<uint32_t>(x_tiles),
         static_cast<uint32_t>(y_tiles));
  return true;
}

template <typename T>
void copy_alike(const Copy& a) {
  if (a.rank == 1 && a.x_stride[0] == 1 && a.y_stride[0] == 1 && a.place == nullptr) {
    cuda::copy_on_device(a.y, a.x, static_cast<size_t>(a.size[0]) * sizeof(T));
  } else if (!turned<T>(a)) {
    copy_as<T, T>(a);
  }
}

// Calls start(T()) with a type of its numbers.
template <typename Start>
void with_number(DType type, Start&& start) {
  switch (type) {
    case DType::f32:
      return start(float());
    case DType::bf16:
      return start(bf16());
    case DType::f16:
      return start(f16());
    case DType::i64:
      return start(int64_t());
    case DType::i32:
      return start(int32_t());
    default:
      return start(uint8_t());
  }
}

// A thread takes a group of 32 numbers; y is dense and f32.
template <DType type>
__global__ void __launch_bounds__(element_block) copy_from_blocks(Copy a, uint32_t rows, uint32_t groups) {
  using Reader = BlockReader<type>;
  const Part part = part_of_grid();
  for (int64_t i = part.own; i < static_cast<int64_t>(rows) * groups; i += part.step) {
    const uint32_t row = static_cast<uint32_t>(i) / groups, g = static_cast<uint32_t>(i) - row * groups;
    const Places places = places_of(a, row, a.rank - 1);
    const auto* blocks = static_cast<const typename Reader::Block*>(a.x) + places.x / Reader::length;
    const Group group = read_group<type>(blocks, g);
    float* y = static_cast<float*>(a.y) + places.y + int64_t{g} * 32;
#pragma unroll
    for (int j = 0; j < 32; ++j) y[j] = number_of<type>(group, j);
  }
}

// A warp takes a block.
template <typename T>
__global__ void __launch_bounds__(element_block) copy_to_q8_0(Copy a, uint32_t rows, uint32_t groups) {
  const Part part = part_of_grid();
  const int lane = static_cast<int>(threadIdx.x) % warp_threads;
  for (int64_t i = part.own / warp_threads; i < static_cast<int64_t>(rows) * groups; i += part.step / warp_threads) {
    const uint32_t row = static_cast<uint32_t>(i) / groups, g = static_cast<uint32_t>(i) - row * groups;
    const Places places = places_of(a, row, a.rank - 1);
    const float x = to_float(static_cast<const T*>(a.x)[places.x + int64_t{g} * 32 + lane]);
    quantize_in_warp(x, lane, static_cast<BlockQ8_0*>(a.y)[places.y / 32 + g]);
  }
}

void copy_blocks(const Copy& a) {
  const int last = a.rank - 1;
  const int64_t groups = a.size[last] / 32, rows = count_of(a) / a.size[last];
  if (is_block(a.y_type)) {
    with_type(a.x_type, [&]<typename T>(T) {
      launch("copy", copy_to_q8_0<T>, grid_for(rows * groups * warp_threads), element_block, 0, a,
             static_cast<uint32_t>(rows), static_cast<uint32_t>(groups));
    });
    return;
  }
  with_block_type(a.x_type, [&](auto type) {
    launch("copy", copy_from_blocks<type.value>, grid_for(rows * groups), element_block, 0, a,
           static_cast<uint32_t>(rows), static_cast<uint32_t>(groups));
  });
}

// The rows' bytes, where blocks stay as they are.
Copy bytes_of_blocks(Copy a) {
  for (int d = 0; d < a.rank; ++d) {
    a.x_stride[d] = d == a.rank - 1 ? 1 : bytes_of(a.x_type, a.x_stride[d]);
    a.y_stride[d] = d == a.rank - 1 ? 1 : bytes_of(a.x_type, a.y_stride[d]);
  }
  a.size[a.rank - 1] = bytes_of(a.x_type, a.size[a.rank - 1]);
  a.place_stride = bytes_of(a.x_type, a.place_stride);
  a.x_type = a.y_type = DType::u8;
  return a;
}

// Indices inside kernels have 32 bits: a larger copy is made in parts.
constexpr int64_t most_elements = std::numeric_limits<int32_t>::max();

void copy_part(const Copy& given) {
  if (count_of(given) > most_elements) {
    // Along the longest dimension, between blocks.
    const int d = static_cast<int>(std::max_element(given.size, given.size + given.rank) - given.size);
    const int64_t half = given.size[d] > 512 ? given.size[d] / 512 * 256 : given.size[d] / 2;
    Copy first = given, second = given;
    first.size[d] = half;
    second.size[d] -= half;
    second.x = static_cast<const char*>(given.x) + bytes_of(given.x_type, half * given.x_stride[d]);
    second.y = static_cast<char*>(given.y) + bytes_of(given.y_type, half * given.y_stride[d]);
    copy_part(first);
    copy_part(second);
    return;
  }
  if (is_block(given.x_type) || is_block(given.y_type)) return copy_blocks(given);
  const Copy a = collapsed(given);
  with_number(a.x_type, [&]<typename From>(From) {
    with_number(a.y_type, [&]<typename To>(To) {
      if constexpr (std::is_same_v<From, To>) {
        copy_alike<From>(a);
      } else if constexpr (std::is_integral_v<From> || !std::is_integral_v<To>) {
        copy_as<From, To>(a);
      }
    });
  });
}

}  // namespace

void copy(const Copy& a) {
  if (count_of(a) == 0) return;
  copy_part(is_block(a.x_type) && a.x_type == a.y_type ? bytes_of_blocks(a) : a);
}

}  // namespace qkv::kernels::cuda_set
