// Losses over a vocabulary or over classes.
#pragma once

#include "qkv/tensor/tensor.h"

namespace qkv {

constexpr int32_t ignored_target = -100;  // Hugging Face's convention

// How many targets count: those in [0, vocab).
int64_t count_targets(const Tensor& targets);

// scale * sum_i cross_entropy(logits[i, :], targets[i]); an f32 scalar. logits [N, V], targets i32 [N] (ignored_target
// is skipped). Pass scale = 1 / (number of targets of the whole step) for the mean.
Tensor cross_entropy(const Tensor& logits, const Tensor& targets, float scale, float label_smoothing = 0);

// cross_entropy(x W^T + b, targets) without ever holding all logits: rows are taken in chunks, each of whose gradients
// is computed at once, while its logits are in cache. x [N, D], W [V, D], b f32 [V] or undefined.
Tensor linear_cross_entropy(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& targets,
                            float scale, float label_smoothing = 0);

}  // namespace qkv
