// The rows of one head, [time, head_dim], between global memory, where they may be of any type and lie in pages, and
// tiles in shared memory.
#pragma once

#include "qkv/kernels/blocks.h"
#include "qkv/kernels/cuda/tensor_core.h"
#include "qkv/kernels/kernels.h"

namespace qkv::kernels {

// The distance between a tile's rows: one vector more than they hold, so that neighbours lie in other banks.
template <typename T, int width>
inline constexpr int tile_stride = width + vector_count<T>;

struct HeadRows {
  const void* data;
  DType type;
  int64_t begin;  // of the first row, in elements
  int64_t stride;
  int count, head_dim;
  const int32_t* pages;
  int page_size;
  int64_t page_stride;

  __device__ int64_t offset(int row) const {
    if (pages == nullptr) return begin + row * stride;
    return begin + pages[row / page_size] * page_stride + row % page_size * stride;
  }
  // Numbers [i, i + count), of which `there` are in the row; the others are zeros. Blocks begin at multiples of count.
  template <int count>
  __device__ Vector<float, count> numbers(int64_t i, int there) const {
    Vector<float, count> result{};
    if (there <= 0) return result;
    if (type == DType::q8_0) {
      const BlockQ8_0& block = static_cast<const BlockQ8_0*>(data)[i / 32];
      const float d = to_float(block.d);
#pragma unroll
      for (int j = 0; j < count; ++j) result.at[j] = d * static_cast<float>(block.codes[i % 32 + j]);
    } else {
#pragma unroll
      for (int j = 0; j < count; ++j)
        if (j < there) result.at[j] = load_number(data, type, i + j);
    }
    return result;
  }
  __device__ float number(int64_t i) const { return numbers<1>(i, 1).at[0]; }

  // Whether every row begins, and ends, at a multiple of 16 bytes.
  template <typename T>
  __device__ bool aligned() const {
    constexpr int64_t step = vector_count<T>;
    return reinterpret_cast<uintptr_t>(data) % 16 == 0 &&
           (begin % step | stride % step | head_dim % step | (pages == nullptr ? 0 : page_stride % step)) == 0;
  }
};

template <typename H>
__device__ inline int64_t head_begin(const H& x, int b, int h) {
  return b * x.batch_stride + h * x.head_stride;
}

// Rows that belong to queries: q, out, and their gradients.
template <typename H>
__device__ inline HeadRows query_rows(const Attention& a, const H& x, int b, int h) {
  return {x.data,
          a.type,
          head_begin(x, b, h),
          x.time_stride,
          static_cast<int>(a.queries),
          static_cast<int>(a.head_dim),
          nullptr,
          0,
          0};
}

__device__ inline int key_count_of(const Attention& a, int b) {
  return static_cast<int>(a.key_count == nullptr ? a.keys : a.key_count[b]);
}

// Rows that belong to keys: k, v and their gradients; h is a head of theirs.
template <typename H>
__device__ inline HeadRows key_rows(const Attention& a, const H& x, int b, int h) {
  const bool paged = a.pages != nullptr;
  return {x.data,
          a.kv_type,
          paged ? h * x.head_stride : head_begin(x, b, h),
          x.time_stride,
          key_count_of(a, b),
          static_cast<int>(a.head_dim),
          paged ? a.pages + b * a.pages_stride : nullptr,
          static_cast<int>(a.page_size),
          x.batch_stride};
}

// Begins to fill a tile [rows, width] with the head's rows from `first` on, zeros beyond its end. They are there after
// cp_async_wait and a barrier.
template <typename T, int width, int threads>
__device__ inline void load_rows(T* tile, const HeadRows& x, int first, int rows) {
  constexpr int count = vector_count<T>;
  constexpr int vectors = width / count;
  const bool copied = x.type == type_of<T> && x.aligned<T>();
  for (int i = static_cast<int>(threadIdx.x); i < rows * vectors; i += threads) {
    const int row = i / vectors, column = i % vectors * count;
    T* to = tile + row * tile_stride<T, width> + column;
    const bool there = first + row < x.count;
    const int64_t from = there ? x.offset(first + row) + column : 0;
    if (copied) {
      cp_async_16(to, static_cast<const T*>(x.data) + from, there && column < x.head_dim);
    } else {
      const Vector<float, count> numbers = x.numbers<count>(from, there ? x.head_dim - column : 0);
      Vector<T> values;
#pragma unroll
      for (int j = 0; j < count; ++j) values.at[j] = from_float<T>(numbers.at[j]);
      store_vector<count>(to, values);
    }
  }
}

// Writes rows [first, first + rows) of a tile's to the head's; those beyond its end are left out.
template <typename T, int width, int threads>
__device__ inline void store_rows(const T* tile, const HeadRows& x, int first, int rows) {
  constexpr int count = vector_count<T>;
  constexpr int vectors = width / count;
  T* const data = static_cast<T*>(const_cast<void*>(x.data));
  const bool whole = x.aligned<T>();
  for (int i = static_cast<int>(threadIdx.x); i < rows * vectors; i += threads) {
    const int row = i / vectors, column = i % vectors * count;
    if (first + row >= x.count || column >= x.head_dim) continue;
    const Vector<T> values = load_vector<count>(tile + row * tile_stride<T, width> + column);
    T* to = data + x.offset(first + row) + column;
    if (whole) {
      store_vector<count>(to, values);
    } else {
#pragma unroll
      for (int j = 0; j < count; ++j)
        if (column + j < x.head_dim) to[j] = values.at[j];
    }
  }
}

}  // namespace qkv::kernels
