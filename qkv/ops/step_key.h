// Where the random numbers of a training step come from.
#pragma once

#include "qkv/core/random.h"
#include "qkv/kernels/kernels.h"
#include "qkv/tensor/tensor.h"

#include <utility>

namespace qkv {

// `place` names who draws and is the same in every step, `step` tells the steps apart. So a step that is recorded once
// (tensor/replay.h) draws anew in each replay: its kernels read the step's word from memory.
struct StepKey {
  RandomKey place;
  uint32_t step = 0;
  Tensor recorded_step;  // i32 [1]: holds the word in place of `step` when a kernel runs; undefined: nothing does

  StepKey(RandomKey of_place = {}, uint32_t of_step = 0, Tensor in_memory = {})
      : place(of_place), step(of_step), recorded_step(std::move(in_memory)) {}

  StepKey child(uint64_t index) const { return {place.child(index), step, recorded_step}; }

  // For numbers that the host draws, which are not recorded.
  RandomKey on_host() const { return place.child(step); }

  // For masks that kernels on the device draw.
  kernels::MaskKey mask(Device device) const {
    const uint32_t key = dropout_key(place);
    if (!recorded_step) return {.key = key ^ step};
    return {.key = key, .step = recorded_step.on(device).data<uint32_t>()};
  }
};

// Of step `index` in a training run with this seed.
inline uint32_t step_word(uint64_t seed, uint64_t index) {
  constexpr uint64_t steps = 0x57E9;
  return dropout_key(RandomKey{seed}.child(steps).child(index));
}

}  // namespace qkv
