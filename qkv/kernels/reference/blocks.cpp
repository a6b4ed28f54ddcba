// Rows of blocks, read and written.
#include "qkv/kernels/reference/block_fields.h"
#include "qkv/kernels/reference/block_search.h"
#include "qkv/kernels/reference/element.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace qkv::kernels {

void dequantize_row(DType type, const void* row, float* out, int64_t count) {
  if (!is_block(type)) {
    for (int64_t i = 0; i < count; ++i) out[i] = static_cast<float>(load(row, type, i));
    return;
  }
  const BlockFormat& format = block_format(type);
  const int length = static_cast<int>(block_length(type));
  BlockFields f;
  for (int64_t begin = 0; begin < count; begin += length) {
    format.unpack(static_cast<const char*>(row) + bytes_of(type, begin), f);
    for (int i = 0; i < length; ++i) {
      const int g = i / format.group;
      out[begin + i] = f.d * f.scale[g] * f.code[i] - f.m * f.low[g];
    }
  }
}

void quantize_row(DType type, const float* values, void* row, int64_t count, const float* importance) {
  const BlockFormat& format = block_format(type);
  const int64_t length = block_length(type);
  const std::vector<float> even(importance == nullptr ? static_cast<size_t>(length) : 0, 1.0F);
  for (int64_t begin = 0; begin < count; begin += length) {
    const float* weight = importance == nullptr ? even.data() : importance + begin;
    format.pack(search_block(format, values + begin, weight), static_cast<char*>(row) + bytes_of(type, begin));
  }
}

void quantize_q8_0(const float* values, BlockQ8_0* blocks, int64_t count) {
  constexpr int length = 32;
  for (int64_t begin = 0; begin < count; begin += length) {
    BlockQ8_0& block = blocks[begin / length];
    const float* x = values + begin;
    float largest = 0;
    for (int i = 0; i < length; ++i)
      largest = !(std::abs(x[i]) <= most_q8_0) ? INFINITY : std::max(largest, std::abs(x[i]));
    const bool bounded = largest <= most_q8_0;
    const float inverse = bounded && largest > least_q8_0 ? 127 / largest : 0;
    block.d = f16(bounded ? largest / 127 : std::numeric_limits<float>::quiet_NaN());
    for (int i = 0; i < length; ++i)
      block.codes[i] = bounded ? static_cast<int8_t>(std::nearbyint(x[i] * inverse)) : int8_t{0};
  }
}

}  // namespace qkv::kernels
