// How the blocks of a launch share out what there is to do.
#pragma once

#include "qkv/kernels/cuda/launch.h"

namespace qkv::kernels {

// A block works on part `part` of head h of row `row` of the batch.
struct Work {
  int row, h, part;
};
__device__ inline Work work_of(int64_t block, int heads, int parts) {
  return {static_cast<int>(block / parts / heads), static_cast<int>(block / parts % heads),
          static_cast<int>(block % parts)};
}

}  // namespace qkv::kernels
