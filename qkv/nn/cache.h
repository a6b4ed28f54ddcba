// What a model remembers of tokens already seen, so that a new token costs one position, not all of them again: the
// keys and values of attention, and the states of layers that remember in other ways (state spaces, moving averages).
#pragma once

#include "qkv/tensor/tensor.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace qkv {

class KeyValueCache {
 public:
  // Room for `capacity` positions of `rows` sequences, in each of `layers` layers. Memory for keys and values is taken
  // when a layer first appends, in their shapes; a layer that never does costs none. They are kept as `type`, f32, bf16
  // or q8_0 (heads of a multiple of 32), or as what they are when none is given.
  KeyValueCache(int64_t layers, int64_t rows, int64_t capacity, std::optional<DType> type = {});

  struct View {
    Tensor keys;    // [rows, length + T, heads, K]
    Tensor values;  // [rows, length + T, heads, V]
  };
  // Writes k [rows, T, heads, K] and v [rows, T, heads, V] behind the `length()` positions that are there, and returns
  // all. Throws Error when the capacity is exceeded. Every layer appends, then advance(T) makes it so.
  View append(int64_t layer, const Tensor& k, const Tensor& v);

  // For passes of one position that are recorded and replayed (tensor/replay.h) while `counts` is defined, i32
  // [1 + rows]: append() writes behind counts[0] positions, read when a replay runs, and returns the first `bound`
  // positions, of which the first key_count(), the other counts, one a row, are there.
  void lay_out(Tensor counts, int64_t bound);
  Tensor key_count() const { return counts_ ? counts_.narrow(0, 1, rows_) : Tensor(); }

  void advance(int64_t positions) { length_ += positions; }

  // A state of the layer, [rows, ...], of a size that does not grow: undefined until it is set. `slot` tells several
  // of one layer apart.
  Tensor state(int64_t layer, size_t slot) const;
  void set_state(int64_t layer, size_t slot, Tensor state);

  // Keys and values of what cross-attention reads, [M, S, heads, K]: undefined until a layer sets them. Rows that
  // follow each other share a memory, rows() / M of them each, so that the beams of a prompt need only one.
  const View& memory(int64_t layer) const { return layers_.at(static_cast<size_t>(layer)).memory; }
  void set_memory(int64_t layer, View memory) { layers_.at(static_cast<size_t>(layer)).memory = std::move(memory); }
  // u8 [M, S], 0 = padding; undefined = none.
  Tensor memory_mask;

  int64_t length() const { return length_; }
  int64_t capacity() const { return capacity_; }
  int64_t rows() const { return rows_; }

  // Row i becomes a copy of row sources[i] (beam search; may also change the number of rows).
  void select_rows(const std::vector<int32_t>& sources);

 private:
  struct Layer {
    Tensor keys, values;  // [rows, capacity, heads, K or V], undefined until something is appended
    std::vector<Tensor> states;
    View memory;
  };
  void select_memories(const std::vector<int32_t>& sources);
  std::vector<Layer> layers_;
  int64_t rows_;
  int64_t capacity_;
  std::optional<DType> type_;
  int64_t length_ = 0;
  Tensor counts_;
  int64_t bound_ = 0;
};

}  // namespace qkv
