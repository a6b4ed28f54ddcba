// From a run-time dtype to a typed pointer.
#pragma once

#include "qkv/core/threads.h"
#include "qkv/tensor/dtype.h"

namespace qkv::kernels::cpu_set {

// Elements below which a second thread costs more than it brings (a fork and join is a few microseconds).
constexpr int64_t elementwise_grain = 8192;

// Calls body(T()) with T the compute type.
template <typename Body>
void with_type(DType type, Body&& body) {
  if (type == DType::bf16) {
    body(bf16());
  } else {
    body(float());
  }
}

}  // namespace qkv::kernels::cpu_set
