// The front door of every operation: what was expected, what came. Kernels behind it trust their input.
#pragma once

#include "qkv/core/error.h"
#include "qkv/kernels/kernels.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

// Throws Error "[op] message", an internal error: a model was put together wrongly, not by the user's doing.
template <typename... Args>
void check(bool condition, std::string_view op, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) throw Error(op, fmt::format(format, std::forward<Args>(args)...), "", Error::Kind::internal);
}

// The compute types are f32 and bf16.
inline void check_compute_type(const Tensor& tensor, std::string_view op) {
  check(!tensor || !tensor.packed(), op, "a packed weight stands only in a linear layer");
  check(tensor && (tensor.dtype() == DType::f32 || tensor.dtype() == DType::bf16), op, "expected f32 or bf16, got {}",
        tensor ? name_of(tensor.dtype()) : "no tensor");
}

// What linear maps and tables may hold: the compute types, or blocks.
inline void check_weight_type(const Tensor& weight, std::string_view op) {
  if (!weight || !is_block(weight.dtype())) check_compute_type(weight, op);
}

// The kernels of the device where `tensor` lies, and the `others` too, those that are given.
template <typename... Tensors>
const kernels::KernelSet& kernels_of(const Tensor& tensor, const Tensors&... others) {
  [[maybe_unused]] const auto beside = [&](const Tensor& other) { return !other || other.device() == tensor.device(); };
  check((beside(others) && ...), "device", "tensors of one operation lie on different devices");
  return kernels::kernels_for(tensor.device());
}

}  // namespace qkv
