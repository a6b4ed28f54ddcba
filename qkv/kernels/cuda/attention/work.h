// How the blocks of a launch share out what there is to do.
#pragma once

#include "qkv/kernels/cuda/attention/calls.h"
#include "qkv/kernels/cuda/launch.h"

namespace qkv::kernels {

// What block number `block` of a launch works on: part `part` of `parts` of each head of each row of the calls.
struct Work {
  int call, b, h, part;
};
__device__ inline Work work_of(const Calls& calls, int64_t block, int parts, int heads) {
  const int part = static_cast<int>(block % parts), row = static_cast<int>(block / parts / heads);
  const int h = static_cast<int>(block / parts % heads);
  return calls.count == 1 ? Work{0, row, h, part} : Work{row, 0, h, part};
}

}  // namespace qkv::kernels
