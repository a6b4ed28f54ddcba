// Calls whose numbers lie in memory, for sets whose memory the host reads: the same with the numbers in their
// arguments.
#pragma once

#include "qkv/kernels/kernels.h"

#include <vector>

namespace qkv::kernels {

// Whether rows of the batch have page tables or numbers of keys of their own.
inline bool has_own_keys(const Attention& a) { return a.pages != nullptr || a.key_count != nullptr; }

// Each row of such a batch as a call of its own.
inline std::vector<Attention> rows_of(const Attention& a) {
  std::vector<Attention> rows;
  for (int64_t b = 0; b < a.batch; ++b) {
    const auto moved = [b](const ConstHeads& x, DType type) {
      return static_cast<const char*>(x.data) + bytes_of(type, b * x.batch_stride);
    };
    Attention row = a;
    row.batch = 1;
    row.q.data = moved(a.q, a.type);
    row.out.data = static_cast<char*>(a.out.data) + bytes_of(a.type, b * a.out.batch_stride);
    if (a.logsumexp != nullptr) row.logsumexp += b * a.heads * a.queries;
    if (a.pages != nullptr) {
      row.pages += b * a.pages_stride;
    } else {
      row.k.data = moved(a.k, a.kv_type);
      row.v.data = moved(a.v, a.kv_type);
    }
    if (a.key_count != nullptr) row.keys = a.key_count[b];
    row.key_count = nullptr;
    rows.push_back(row);
  }
  return rows;
}

inline Copy with_place(Copy a) {
  if (a.place != nullptr) a.y = static_cast<char*>(a.y) + bytes_of(a.y_type, *a.place * a.place_stride);
  a.place = nullptr;
  return a;
}

}  // namespace qkv::kernels
