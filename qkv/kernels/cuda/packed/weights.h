// Packed weights as products read them. Blocks stay as they came. Integers, n rows of k of them, lie in:
//   the outlier's bound (f32), up to byte 64; n scales (f32), up to a multiple of 64 bytes; n rows of integers, each
//   with zeros up to a multiple of 32.
#pragma once

#include "qkv/kernels/cuda/blocks.h"

namespace qkv::kernels {

// Numbers of a row, in whole groups.
__host__ __device__ inline int64_t whole_groups(int64_t k) { return (k + 31) / 32 * 32; }

struct IntegerParts {
  float* outlier;
  float* scales;
  int8_t* codes;

  IntegerParts(void* packed, int64_t n)
      : outlier(static_cast<float*>(packed)),
        scales(outlier + 16),
        codes(reinterpret_cast<int8_t*>(scales + (n + 15) / 16 * 16)) {}
  static int64_t bytes(int64_t n, int64_t k) { return 64 + (n + 15) / 16 * 64 + n * whole_groups(k); }
};

// The weight of a product: read(j, g) is group g of row j.
template <DType type>
struct Weights {
  static constexpr int offset = BlockReader<type>::offset;
  static constexpr bool lows = BlockReader<type>::lows;
  static constexpr bool two_scales = type == DType::q2_k || type == DType::q3_k || type == DType::q6_k;
  static constexpr bool outliers = false;

  const char* rows;
  int64_t row_bytes;

  Weights(const void* packed, int64_t, int64_t k)
      : rows(static_cast<const char*>(packed)), row_bytes(bytes_of(type, k)) {}
  __device__ Group read(int64_t j, int64_t g) const { return read_group<type>(rows + j * row_bytes, g); }
};

template <>
struct Weights<DType::i8> {
  static constexpr int offset = 0;
  static constexpr bool lows = false;
  static constexpr bool two_scales = false;
  static constexpr bool outliers = true;

  IntegerParts parts;
  int64_t row;

  Weights(const void* packed, int64_t n, int64_t k) : parts(const_cast<void*>(packed), n), row(whole_groups(k)) {}
  __device__ Group read(int64_t j, int64_t g) const {
    Group group;
    read_words<16>(parts.codes + j * row + 32 * g, group.word);
    group.scale[0] = group.scale[1] = parts.scales[j];
    group.low[0] = group.low[1] = 0;
    return group;
  }
  __device__ float number(int64_t j, int64_t p) const {
    return parts.scales[j] * static_cast<float>(parts.codes[j * row + p]);
  }
};

}  // namespace qkv::kernels
