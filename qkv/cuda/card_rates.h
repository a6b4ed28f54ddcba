// What a card can do at most in a second, by its attributes and NVIDIA's tables: what "100 %" means on it.
#pragma once

#include "qkv/cuda/runtime.h"

namespace qkv::cuda {

// 0 where it is not known: rather no figure than a wrong one.
struct CardRates {
  double half = 0;       // FLOP/s of dense products of bf16 or f16 with sums in f32, by tensor cores
  double tf32 = 0;       // of f32 with factors rounded to tf32, likewise
  double f32 = 0;        // without tensor cores
  double bandwidth = 0;  // bytes/s of its memory
};

CardRates card_rates(const DeviceInfo& card);

}  // namespace qkv::cuda
