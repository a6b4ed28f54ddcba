// The front door of every operation: what was expected, what came. Kernels behind it trust their input.
#pragma once

#include "qkv/core/error.h"
#include "qkv/kernels/kernels.h"
#include "qkv/tensor/tensor.h"

#include <fmt/format.h>

// So that a shape becomes text only where a check fails.
template <>
struct fmt::formatter<qkv::Shape> : fmt::formatter<std::string> {
  auto format(const qkv::Shape& shape, fmt::format_context& context) const {
    return fmt::formatter<std::string>::format(qkv::to_string(shape), context);
  }
};

namespace qkv {

// Throws Error "[op] message", an internal error: a model was put together wrongly, not by the user's doing.
template <typename... Args>
void check(bool condition, std::string_view op, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) throw Error(op, fmt::format(format, std::forward<Args>(args)...), "", Error::Kind::internal);
}

// The compute types are f32 and bf16, and f16 on GPUs.
inline bool computes_in(DType type, Device device) {
  return type == DType::f32 || type == DType::bf16 || (type == DType::f16 && device.type == Device::Type::cuda);
}
inline void check_compute_type(const Tensor& tensor, std::string_view op) {
  check(!tensor || !tensor.packed(), op, "a packed weight stands only in a linear layer");
  check(tensor && computes_in(tensor.dtype(), tensor.device()), op, "expected f32 or bf16, got {}",
        tensor ? name_of(tensor.dtype()) : "no tensor");
}

// Throws Error, a user's, where models on the device do not run in `type`.
inline void check_dtype_option(DType type, Device device) {
  if (computes_in(type, device)) return;
  const bool cpu = device.type == Device::Type::cpu;
  throw Error("--dtype", fmt::format("models do not run in {} on {}", name_of(type), cpu ? "the CPU" : "a GPU"),
              "f32 or bf16; f16 is for --device cuda");
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
