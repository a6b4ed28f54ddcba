// One tensor's elements into another of the same shape, whatever the strides and dtypes. Not recorded.
#pragma once

#include "qkv/ops/check.h"

namespace qkv {

// place: i32 [1], read when a replay runs (tensor/replay.h); `to` then begins so many times place_stride elements
// further on.
inline void copy_elements(const Tensor& from, const Tensor& to, const Tensor& place = {}, int64_t place_stride = 0) {
  kernels::Copy copy{.rank = from.rank(), .x = from.raw(), .x_type = from.dtype(), .y = to.raw(), .y_type = to.dtype()};
  for (int i = 0; i < from.rank(); ++i) {
    copy.size[i] = from.size(i);
    copy.x_stride[i] = from.stride(i);
    copy.y_stride[i] = to.stride(i);
  }
  if (place) copy.place = place.on(to.device()).data<int32_t>();
  copy.place_stride = place_stride;
  kernels_of(from, to).copy(copy);
}

}  // namespace qkv
