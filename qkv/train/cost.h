// What training costs: arithmetic, memory, and what the machine can do.
#pragma once

#include "qkv/models/model.h"

namespace qkv {

struct TrainingCost {
  int64_t parameters = 0;
  double flops_per_token = 0;   // forward and backward: 6 per weight used, and 6 T D per layer for causal attention
                                // (twice that when every position sees every other)
  double state_bytes = 0;       // parameters, gradients, optimizer, bf16 copies
  double activation_bytes = 0;  // kept for the backward pass of one micro-batch
};

// For micro-batches of `rows` x `length` tokens, activations of type `compute`, `moments` f32 numbers a parameter in
// the optimizer. `scored`: the part of the tokens that go through the heads.
TrainingCost training_cost(Model& model, int64_t rows, int64_t length, DType compute, int moments, bool checkpoint,
                           double scored = 1);

// That part where so many of the tokens have a label: masked language models leave the others out.
double scored_part(double labelled);

// The rate of a large matrix product on the CPU, FLOP/s. Takes about 0.1 s.
double measured_peak(DType compute);

// The highest rate of products on a device, FLOP/s: what "100 %" means in progress lines. Measured on the CPU; a card's
// by its attributes (cuda/card_rates.h), 0 where they do not say.
double peak_of(Device device, DType compute);

}  // namespace qkv
