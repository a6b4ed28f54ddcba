// The keys and values of tokens already seen, so that a new token costs one position, not all of them again.
#pragma once

#include "qkv/tensor/tensor.h"

#include <cstdint>
#include <vector>

namespace qkv {

class KeyValueCache {
 public:
  // Room for `capacity` positions of `rows` sequences, in each of `layers` layers.
  KeyValueCache(int64_t layers, int64_t rows, int64_t capacity, int64_t kv_heads, int64_t head_dim, DType dtype);

  struct View {
    Tensor keys;    // [rows, length + T, kv_heads, head_dim]
    Tensor values;  // likewise
  };
  // Writes k and v [rows, T, kv_heads, head_dim] behind the `length()` positions that are there, and returns all.
  // Throws Error when the capacity is exceeded. Every layer appends, then advance(T) makes it so.
  View append(int64_t layer, const Tensor& k, const Tensor& v);
  void advance(int64_t positions) { length_ += positions; }

  int64_t length() const { return length_; }
  int64_t capacity() const { return capacity_; }
  int64_t rows() const { return rows_; }

  // Row i becomes a copy of row sources[i] (beam search; may also change the number of rows).
  void select_rows(const std::vector<int32_t>& sources);
  // Forgets positions at and after `length`.
  void truncate(int64_t length) { length_ = length; }

 private:
  struct Layer {
    Tensor keys, values;  // [rows, capacity, kv_heads, head_dim]
  };
  std::vector<Layer> layers_;
  int64_t rows_;
  int64_t capacity_;
  int64_t length_ = 0;
};

}  // namespace qkv
