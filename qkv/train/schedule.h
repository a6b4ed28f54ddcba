// The learning rate over a run.
#pragma once

#include <cstdint>
#include <string_view>

namespace qkv {

// After `warmup` steps of linear rise to `peak`:
//   constant  stays there
//   linear    falls in a line to `lowest` at the last step
//   cosine    falls along half a cosine to `lowest` (Loshchilov & Hutter 2017), as nanoGPT
//   wsd       stays, then falls in a line over the last `decay_fraction` of the run (warmup-stable-decay, Hu et al.
//   2024)
struct Schedule {
  enum class Kind : uint8_t { constant, linear, cosine, wsd };
  Kind kind = Kind::cosine;
  double peak = 1e-3;
  double lowest = 1e-4;
  int64_t warmup = 0;
  int64_t steps = 1;
  double decay_fraction = 0.2;

  double rate(int64_t step) const;  // step counts from 0
};

Schedule::Kind schedule_named(std::string_view name);  // throws Error

}  // namespace qkv
