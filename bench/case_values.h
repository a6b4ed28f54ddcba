// Inputs and tolerances that kernel cases share.
#pragma once

#include "bench/kernel_cases.h"

#include "qkv/core/random.h"

#include <algorithm>
#include <array>
#include <initializer_list>

namespace qkv {

inline constexpr double f32_tolerance = 2e-5;
inline constexpr double bf16_tolerance = 1e-2;
inline constexpr double f16_tolerance = bf16_tolerance / 8;  // of three more bits
inline double tolerance_of(DType type) {
  return type == DType::f32 ? f32_tolerance : type == DType::bf16 ? bf16_tolerance : f16_tolerance;
}

// The compute types of a table: f32, and the 16-bit one that stands beside it.
using ComputeTypes = std::array<DType, 2>;

inline void set_number(const Tensor& tensor, int64_t i, float value) {
  if (tensor.dtype() == DType::f32) tensor.data<float>()[i] = value;
  if (tensor.dtype() == DType::bf16) tensor.data<bf16>()[i] = bf16(value);
  if (tensor.dtype() == DType::f16) tensor.data<f16>()[i] = f16(value);
}

// Random values of a fixed seed: uniform in [-spread, spread].
inline Tensor random(const Shape& shape, DType type, uint64_t seed, float spread = 1) {
  Random draw(RandomKey{seed, 77});
  Tensor values = Tensor::empty(shape, type);
  for (int64_t i = 0; i < values.numel(); ++i)
    set_number(values, i, spread * static_cast<float>(2 * draw.uniform() - 1));
  return values;
}

inline Tensor ids(int64_t count, int64_t limit, uint64_t seed) {
  Random draw(RandomKey{seed, 78});
  std::vector<int32_t> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<int32_t>(draw.below(static_cast<uint64_t>(limit))));
  return Tensor::from<int32_t>({count}, values);
}

inline Tensor copy_of(const Tensor& x) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  std::copy_n(static_cast<const char*>(x.raw()), x.numel() * size_of(x.dtype()), static_cast<char*>(y.raw()));
  return y;
}

inline double bytes_of(std::initializer_list<Tensor> tensors) {
  double total = 0;
  for (const Tensor& tensor : tensors) total += static_cast<double>(tensor.numel() * size_of(tensor.dtype()));
  return total;
}

// Cases that stand in files of their own.
void add_attention(std::vector<KernelCase>& cases, const ComputeTypes& both);
void add_packed(std::vector<KernelCase>& cases, const ComputeTypes& both);
void add_positions(std::vector<KernelCase>& cases, const ComputeTypes& both);
void add_recurrences(std::vector<KernelCase>& cases, const ComputeTypes& both);

}  // namespace qkv
