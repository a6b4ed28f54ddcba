// How attention is started.
#pragma once

#include "qkv/kernels/kernels.h"

#include <algorithm>

namespace qkv::kernels {

// Calls that one launch answers, in a kernel's arguments, of which there may be 4 KiB. Where they are several, each has
// batch 1.
struct Calls {
  static constexpr int most = 12;
  int count = 0;
  Attention at[most];  // alike in types, heads and head_dim

  // Rows of the batches of all; and for each its call and its row there.
  int64_t rows() const { return count == 1 ? at[0].batch : count; }
  constexpr int call_of(int row) const { return count == 1 ? 0 : row; }
  constexpr int batch_row_of(int row) const { return count == 1 ? row : 0; }
};
static_assert(sizeof(Calls) <= 4096);

inline int64_t parts_of(int64_t count, int64_t part) { return (count + part - 1) / part; }

}  // namespace qkv::kernels

namespace qkv::kernels::cuda_set {

// Throws Error where head_dim is beyond what the kernels take.
void check_heads(const Attention& a);

// By tiles of queries and keys: bf16 and f16 on tensor cores, f32.
void attention_bf16(const Calls& calls);
void attention_f16(const Calls& calls);
void attention_f32(const Calls& calls);
// For few queries, whose keys are split among blocks. Without dropout.
bool suits_decoding(const Attention& a);
void attention_decode(const Calls& calls);

}  // namespace qkv::kernels::cuda_set
