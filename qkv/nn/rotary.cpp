#include "qkv/nn/rotary.h"

#include "qkv/core/threads.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace qkv {
namespace {

constexpr double two_pi = 2 * std::numbers::pi;

std::vector<double> plain_frequencies(int64_t dim, double base) {
  std::vector<double> frequencies(static_cast<size_t>(dim / 2));
  for (size_t i = 0; i < frequencies.size(); ++i)
    frequencies[i] = std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(dim));
  return frequencies;
}

void scale_llama3(const RotarySpec& spec, std::vector<double>& frequencies) {
  const double original = static_cast<double>(spec.original_positions);
  for (double& f : frequencies) {
    const double wavelength = two_pi / f;
    if (wavelength < original / spec.high_freq_factor) continue;
    if (wavelength > original / spec.low_freq_factor) {
      f /= spec.factor;
    } else {
      const double smooth =
          (original / wavelength - spec.low_freq_factor) / (spec.high_freq_factor - spec.low_freq_factor);
      f = (1 - smooth) * f / spec.factor + smooth * f;
    }
  }
}

void scale_yarn(const RotarySpec& spec, std::vector<double>& frequencies) {
  // The dimension whose wavelength makes `rotations` turns over the trained length.
  const auto dimension_of = [&](double rotations) {
    return static_cast<double>(spec.dim) *
           std::log(static_cast<double>(spec.original_positions) / (rotations * two_pi)) / (2 * std::log(spec.base));
  };
  double low = dimension_of(spec.beta_fast);
  double high = dimension_of(spec.beta_slow);
  if (spec.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(spec.dim - 1));
  if (low == high) high += 0.001;
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double interpolated = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    frequencies[i] = frequencies[i] / spec.factor * interpolated + frequencies[i] * (1 - interpolated);
  }
}

double yarn_attention(const RotarySpec& spec) {
  if (spec.attention_factor > 0) return spec.attention_factor;
  const auto magnitude = [&](double mscale) {
    return spec.factor <= 1 ? 1.0 : 0.1 * mscale * std::log(spec.factor) + 1;
  };
  if (spec.mscale > 0 && spec.mscale_all_dim > 0) return magnitude(spec.mscale) / magnitude(spec.mscale_all_dim);
  return magnitude(1);
}

}  // namespace

std::vector<double> rotary_frequencies(const RotarySpec& spec, int64_t positions) {
  using Scaling = RotarySpec::Scaling;
  double base = spec.base;
  if (spec.scaling == Scaling::dynamic && positions > spec.original_positions) {
    const double stretch =
        spec.factor * static_cast<double>(positions) / static_cast<double>(spec.original_positions) - (spec.factor - 1);
    base *= std::pow(stretch, static_cast<double>(spec.dim) / static_cast<double>(spec.dim - 2));
  }
  std::vector<double> frequencies = plain_frequencies(spec.dim, base);
  if (spec.scaling == Scaling::linear)
    for (double& f : frequencies) f /= spec.factor;
  if (spec.scaling == Scaling::llama3) scale_llama3(spec, frequencies);
  if (spec.scaling == Scaling::yarn) scale_yarn(spec, frequencies);
  return frequencies;
}

RotaryTable rotary_table(const RotarySpec& spec, int64_t positions) {
  const std::vector<double> frequencies = rotary_frequencies(spec, positions);
  const double magnitude = spec.scaling == RotarySpec::Scaling::yarn ? yarn_attention(spec) : 1;
  const Shape shape{positions, spec.dim / 2};
  const Tensor cosine = Tensor::empty(shape), sine = Tensor::empty(shape);
  const int64_t width = shape[1];
  constexpr int64_t grain = 64;
  parallel_for(positions, grain, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p)
      for (int64_t i = 0; i < width; ++i) {
        // The reference computes the angle in f32; at long positions the difference is visible.
        const float angle = static_cast<float>(p) * static_cast<float>(frequencies[static_cast<size_t>(i)]);
        cosine.data<float>()[p * width + i] = static_cast<float>(std::cos(static_cast<double>(angle)) * magnitude);
        sine.data<float>()[p * width + i] = static_cast<float>(std::sin(static_cast<double>(angle)) * magnitude);
      }
  });
  return {cosine, sine, spec.interleaved};
}

}  // namespace qkv
