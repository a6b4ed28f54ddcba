// Results in the shapes and orders that the reference library gives them.
#pragma once

#include "qkv/nn/adaptive.h"
#include "qkv/nn/stack.h"

namespace qkv {

// -log p of each label but the first, as many as [B, T - 1]; the reference lists them by the range that the label is
// in.
Tensor losses_of(const Tensor& log_probabilities, const Tensor& shifted_labels, const AdaptiveSpec& adaptive);

// Attention in windows as the reference lays it out, [B, H, T, G + 2 (window - 1) + 1]: to the G global keys, then to
// the neighbours from the farthest before to the farthest behind. Queries that are global, and padding, have zeros.
// `pattern`: [B, H, T, G + T]; `global` u8 [B, T], may be undefined.
Tensor banded(const Tensor& pattern, int64_t window, const Tensor& global);

// Attention of global tokens as the reference lays it out, [B, H, T, G], from [B, H, G, T]. Where a row has fewer
// tokens than G, the rest look evenly at the text, which the reference fills up to whole windows.
Tensor global_pattern(const Tensor& pattern, const Tensor& global, const Tensor& mask, const StackSpec& stack);

// Where queries stand: rows of `pattern` [B, H, M, S] at their positions among T, [B, H, T, S].
Tensor at_targets(const Tensor& pattern, const Tensor& targets, int64_t T);

}  // namespace qkv
