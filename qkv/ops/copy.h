// One tensor's elements into another of the same shape, whatever the strides and dtypes. Not recorded.
#pragma once

#include "qkv/ops/check.h"

namespace qkv {

inline void copy_elements(const Tensor& from, const Tensor& to) {
  kernels::Copy copy{.rank = from.rank(), .x = from.raw(), .x_type = from.dtype(), .y = to.raw(), .y_type = to.dtype()};
  for (int i = 0; i < from.rank(); ++i) {
    copy.size[i] = from.size(i);
    copy.x_stride[i] = from.stride(i);
    copy.y_stride[i] = to.stride(i);
  }
  kernels_of(from).copy(copy);
}

}  // namespace qkv
