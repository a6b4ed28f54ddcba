// Inputs of tests.
#pragma once

#include "qkv/core/random.h"
#include "qkv/tensor/tensor.h"

#include <vector>

namespace qkv {

// Normal numbers.
inline Tensor random(const Shape& shape, uint64_t seed) {
  Random draw(RandomKey{seed, 9});
  std::vector<float> values;
  for (int64_t i = 0; i < shape.numel(); ++i) values.push_back(static_cast<float>(draw.normal()));
  return Tensor::from(shape, values);
}

}  // namespace qkv
