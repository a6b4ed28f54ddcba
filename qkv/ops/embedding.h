// Table look-up.
#pragma once

#include "qkv/tensor/tensor.h"

namespace qkv {

// y[..., D] = table[first + ids[...], :]. ids: i32, checked against the table's rows (Error names the id and its
// place). table [N, D]: f32, bf16 or blocks, which have no gradient. The result has `dtype` (f32 or bf16). The gradient
// is scattered in the order of ids. `padding_id` (-1: none) gets no gradient from here. `first`: 0 for a packed table.
Tensor embedding(const Tensor& ids, const Tensor& table, DType dtype, int64_t padding_id = -1, int64_t first = 0);

}  // namespace qkv
