// Working memory of one thread, kept between calls.
#pragma once

#include "qkv/tensor/tensor.h"

namespace qkv::kernels::cpu_set {

// At least `count` floats, 64-byte aligned, contents arbitrary; valid until this thread asks again with the same `Tag`.
template <typename Tag>
float* thread_scratch(int64_t count) {
  thread_local Tensor buffer;
  if (!buffer || buffer.numel() < count) buffer = Tensor::empty({count});
  return buffer.data<float>();
}

}  // namespace qkv::kernels::cpu_set
