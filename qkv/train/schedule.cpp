#include "qkv/train/schedule.h"

#include "qkv/core/error.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace qkv {

double Schedule::rate(int64_t step) const {
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup + 1);
  const double left = static_cast<double>(std::max<int64_t>(1, steps - warmup));
  const double done = std::min(1.0, static_cast<double>(step - warmup) / left);
  switch (kind) {
    case Kind::constant:
      return peak;
    case Kind::linear:
      return peak + (lowest - peak) * done;
    case Kind::cosine:
      return lowest + 0.5 * (1 + std::cos(std::numbers::pi * done)) * (peak - lowest);
    case Kind::wsd: {
      const double falling = std::max(0.0, (done - (1 - decay_fraction)) / decay_fraction);
      return peak + (lowest - peak) * falling;
    }
  }
  return peak;
}

Schedule::Kind schedule_named(std::string_view name) {
  if (name == "constant") return Schedule::Kind::constant;
  if (name == "linear") return Schedule::Kind::linear;
  if (name == "cosine") return Schedule::Kind::cosine;
  if (name == "wsd") return Schedule::Kind::wsd;
  throw Error("schedule", fmt::format("there is no schedule '{}'", name), "constant, linear, cosine or wsd");
}

}  // namespace qkv
