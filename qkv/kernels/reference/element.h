// Reading and writing one element of any type that has elements.
#pragma once

#include "qkv/tensor/dtype.h"

#include <cstdint>
#include <limits>

namespace qkv::kernels {

inline double load(const void* data, DType type, int64_t i) {
  switch (type) {
    case DType::f32:
      return static_cast<const float*>(data)[i];
    case DType::bf16:
      return static_cast<float>(static_cast<const bf16*>(data)[i]);
    case DType::f16:
      return static_cast<float>(static_cast<const f16*>(data)[i]);
    case DType::i64:
      return static_cast<double>(static_cast<const int64_t*>(data)[i]);
    case DType::i32:
      return static_cast<const int32_t*>(data)[i];
    case DType::u8:
    case DType::boolean:
      return static_cast<const uint8_t*>(data)[i];
    default:
      return std::numeric_limits<double>::quiet_NaN();  // blocks have rows, not elements (kernels/blocks.h)
  }
}

inline void store(void* data, DType type, int64_t i, double value) {
  switch (type) {
    case DType::f32:
      static_cast<float*>(data)[i] = static_cast<float>(value);
      return;
    case DType::bf16:
      static_cast<bf16*>(data)[i] = bf16(static_cast<float>(value));
      return;
    case DType::f16:
      static_cast<f16*>(data)[i] = f16(static_cast<float>(value));
      return;
    case DType::i64:
      static_cast<int64_t*>(data)[i] = static_cast<int64_t>(value);
      return;
    case DType::i32:
      static_cast<int32_t*>(data)[i] = static_cast<int32_t>(value);
      return;
    case DType::u8:
    case DType::boolean:
      static_cast<uint8_t*>(data)[i] = static_cast<uint8_t>(value);
      return;
    default:
      return;  // results have no blocks
  }
}

}  // namespace qkv::kernels
