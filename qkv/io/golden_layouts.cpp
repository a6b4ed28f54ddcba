#include "qkv/io/golden_layouts.h"

#include "qkv/ops/shape.h"

#include <algorithm>

namespace qkv {

Tensor losses_of(const Tensor& log_probabilities, const Tensor& shifted_labels, const AdaptiveSpec& adaptive) {
  const int64_t T = log_probabilities.size(1);
  const int64_t V = log_probabilities.size(2);
  std::vector<float> losses;
  for (int64_t range = 0; range < adaptive.ranges(); ++range)
    for (int64_t i = 0; i < shifted_labels.numel(); ++i)
      if (const int32_t label = shifted_labels.data<int32_t>()[i];
          i % T < T - 1 && label >= adaptive.begin(range) && label < adaptive.end(range, V))
        losses.push_back(-log_probabilities.data<float>()[i * V + label]);
  losses.resize(static_cast<size_t>(log_probabilities.size(0) * (T - 1)), 0);
  return Tensor::from({log_probabilities.size(0), T - 1}, losses);
}

Tensor banded(const Tensor& pattern, int64_t window, const Tensor& global) {
  const int64_t T = pattern.size(2);
  const int64_t G = pattern.size(3) - T;
  const int64_t band = 2 * window - 1;
  const Tensor result = Tensor::zeros({pattern.size(0), pattern.size(1), T, G + band});
  for (int64_t row = 0; row < pattern.numel() / pattern.size(3); ++row) {
    const int64_t t = row % T;
    const int64_t b = row / T / pattern.size(1);
    if (global && global.data<uint8_t>()[b * T + t] != 0) continue;
    const float* from = pattern.data<float>() + row * (G + T);
    float* to = result.data<float>() + row * (G + band);
    std::copy_n(from, G, to);
    for (int64_t i = 0; i < band; ++i)
      if (const int64_t s = t - window + 1 + i; s >= 0 && s < T) to[G + i] = from[G + s];
  }
  return result;
}

Tensor global_pattern(const Tensor& pattern, const Tensor& global, const Tensor& mask, const StackSpec& stack) {
  int64_t window = 1;
  for (int64_t i = 0; i < stack.layers; ++i) window = std::max(window, 2 * (stack.layer(i).attention.window - 1));
  const int64_t T = pattern.size(3);
  const int64_t G = pattern.size(2);
  const int64_t H = pattern.size(1);
  const int64_t whole = (T + window - 1) / window * window;
  const Tensor result = Tensor::zeros({pattern.size(0), H, whole, G});
  for (int64_t b = 0; b < pattern.size(0); ++b) {
    int64_t used = 0;
    for (int64_t t = 0; t < T; ++t)
      used += global.data<uint8_t>()[b * T + t] != 0 && (!mask || mask.data<uint8_t>()[b * T + t] != 0) ? 1 : 0;
    for (int64_t h = 0; h < H; ++h)
      for (int64_t g = 0; g < G; ++g)
        for (int64_t t = 0; t < whole; ++t) {
          const float even = 1 / static_cast<float>(whole);
          const float own = t < T ? pattern.data<float>()[((b * H + h) * G + g) * T + t] : 0;
          result.data<float>()[((b * H + h) * whole + t) * G + g] = g < used ? own : even;
        }
  }
  return result;
}

Tensor at_targets(const Tensor& pattern, const Tensor& targets, int64_t T) {
  const Tensor all = Tensor::zeros({pattern.size(0), pattern.size(1), T, pattern.size(3)});
  const int64_t M = targets.size(1);
  const int64_t S = pattern.size(3);
  for (int64_t b = 0; b < pattern.size(0); ++b)
    for (int64_t h = 0; h < pattern.size(1); ++h)
      for (int64_t m = 0; m < M; ++m)
        std::copy_n(pattern.data<float>() + ((b * pattern.size(1) + h) * M + m) * S, S,
                    all.data<float>() + ((b * pattern.size(1) + h) * T + targets.data<int32_t>()[b * M + m]) * S);
  return all;
}

}  // namespace qkv
