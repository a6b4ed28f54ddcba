// Relative positions that enter attention by content: queries, or keys, meet a key for the distance.
#pragma once

#include "qkv/tensor/tensor.h"

#include <vector>

namespace qkv {

// One sum of products: x . table[place], with x the query's or, `by_key`, the key's vector.
struct RelativeTerm {
  Tensor x;      // [B, T, H, K], or [B, S, H, K] by key; the last dimension dense, the others may be strided
  Tensor table;  // [P, H, K], of x's dtype
  Tensor
      places;  // i32 [1 or B, T, S]: the row for each query and key, checked; negative = the query does not see the key
  bool by_key = false;
};

// The bias f32 [B, H, T, S] that attention() adds to its scores:
//   bias[b,h,t,s] = scale * sum over terms of x[b, t or s, h, :] . table[places[b,t,s], h, :]
// (Dai et al. 2019, arXiv 1901.02860; He et al. 2020, arXiv 2006.03654). Each x meets each row of its table once, in
// one product a head. A hidden key has -1e30: no probability, but where a query sees nothing at all.
Tensor relative_bias(const std::vector<RelativeTerm>& terms, float scale);

}  // namespace qkv
