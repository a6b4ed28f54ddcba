#include "qkv/models/initialise.h"

#include "qkv/core/threads.h"
#include "qkv/ops/check.h"

#include <cmath>
#include <numbers>

namespace qkv {
namespace {

// Four normal values from one Philox block (Box-Muller); block i is the same whichever thread makes it.
void normal_block(RandomKey key, uint64_t block, float std, float* out, int64_t count) {
  const auto words = philox(key, block);
  for (int64_t pair = 0; 2 * pair < count; ++pair) {
    const double u = (words[static_cast<size_t>(2 * pair)] + 0.5) * 0x1p-32;
    const double angle = 2 * std::numbers::pi * (words[static_cast<size_t>(2 * pair + 1)] * 0x1p-32);
    const double radius = std * std::sqrt(-2 * std::log(u));
    out[2 * pair] = static_cast<float>(radius * std::cos(angle));
    if (2 * pair + 1 < count) out[2 * pair + 1] = static_cast<float>(radius * std::sin(angle));
  }
}

}  // namespace

void initialise_parameter(Tensor& value, Role role, float std, RandomKey key) {
  if (role == Role::scale || role == Role::bias) {
    kernels_of(value).fill(value.raw(), value.dtype(), value.numel(), role == Role::scale ? 1.0F : 0.0F);
    return;
  }
  float* data = value.data<float>();
  const int64_t count = value.numel();
  parallel_for((count + 3) / 4, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block)
      normal_block(key, static_cast<uint64_t>(block), std, data + 4 * block, std::min<int64_t>(4, count - 4 * block));
  });
}

}  // namespace qkv
