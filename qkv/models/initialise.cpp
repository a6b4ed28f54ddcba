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

// The roles whose values follow from their place, or are not normal. True when `role` is one.
bool special_start(Tensor& value, Role role, RandomKey key) {
  float* data = value.data<float>();
  const int64_t last = value.rank() > 0 ? value.size(-1) : 1;
  Random draw(key);
  const auto each = [&](auto&& start) {
    for (int64_t i = 0; i < value.numel(); ++i) data[i] = static_cast<float>(start(i));
    return true;
  };
  switch (role) {
    case Role::filter:
      return each([&](int64_t) { return (2 * draw.uniform() - 1) / std::sqrt(static_cast<double>(last)); });
    case Role::decay_log:
      return each([&](int64_t i) { return std::log(static_cast<double>(i % last + 1)); });
    case Role::average_rate:
      return each([&](int64_t) { return 0.2 * draw.normal(); });
    case Role::average_input:
      return each([&](int64_t i) { return (i % value.size(1) % 2 == 0 ? 1 : -1) + 0.02 * draw.normal(); });
    case Role::average_output:
      return each([&](int64_t) { return draw.normal(); });
    case Role::time_step:
      return each([&](int64_t) {
        const double step = 0.001 * std::pow(100.0, draw.uniform());
        return step + std::log(-std::expm1(-step));  // softplus turned round
      });
    default:
      return false;
  }
}

}  // namespace

void initialise_parameter(Tensor& value, Role role, float std, RandomKey key) {
  if (role == Role::scale || role == Role::bias || role == Role::fixed) {
    kernels_of(value).fill(value.raw(), value.dtype(), value.numel(), role == Role::scale ? 1.0F : 0.0F);
    return;
  }
  if (value.device() != Device()) {  // drawn by the host, so that a seed means the same everywhere
    Tensor here = Tensor::empty(value.shape(), value.dtype());
    initialise_parameter(here, role, std, key);
    value.assign(here);
    return;
  }
  if (special_start(value, role, key)) return;
  float* data = value.data<float>();
  const int64_t count = value.numel();
  parallel_for((count + 3) / 4, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block)
      normal_block(key, static_cast<uint64_t>(block), std, data + 4 * block, std::min<int64_t>(4, count - 4 * block));
  });
}

}  // namespace qkv
