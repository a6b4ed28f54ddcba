// Calls whose numbers lie in memory, for sets whose memory the host reads: the same with the numbers in their
// arguments.
#pragma once

#include "qkv/kernels/kernels.h"

namespace qkv::kernels {

inline Attention with_key_count(Attention a) {
  if (a.key_count != nullptr) a.keys = *a.key_count;
  a.key_count = nullptr;
  return a;
}

inline Copy with_place(Copy a) {
  if (a.place != nullptr) a.y = static_cast<char*>(a.y) + bytes_of(a.y_type, *a.place * a.place_stride);
  a.place = nullptr;
  return a;
}

}  // namespace qkv::kernels
