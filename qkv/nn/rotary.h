// Rotary position tables, with the ways of stretching them to longer contexts.
#pragma once

#include "qkv/ops/attention.h"

#include <vector>

namespace qkv {

// Inverse frequencies f_i = base^(-2i/dim), then changed by `scaling`:
//   linear   f / factor                                   (Chen et al. 2023, arXiv 2306.15595)
//   dynamic  base grows with the length beyond `original_positions` (NTK-aware)
//   llama3   low frequencies divided by factor, high kept, the middle blended (Llama 3.1)
//   yarn     blend by wavelength with a correction range, and attention scaled (Peng et al. 2023, arXiv 2309.00071)
struct RotarySpec {
  enum class Scaling : uint8_t { none, linear, dynamic, llama3, yarn };
  int64_t dim = 0;  // rotated part of the head, even
  double base = 10000;
  bool interleaved = false;
  Scaling scaling = Scaling::none;
  double factor = 1;
  int64_t original_positions = 0;  // trained length, for dynamic, llama3 and yarn
  double low_freq_factor = 1;      // llama3
  double high_freq_factor = 4;     // llama3
  double beta_fast = 32;           // yarn
  double beta_slow = 1;            // yarn
  double attention_factor = 0;     // yarn; 0 = 0.1 ln(factor) + 1
  double mscale = 0;               // yarn, as DeepSeek states it; 0 = not given
  double mscale_all_dim = 0;
  bool truncate = true;  // yarn: round the correction range to whole dimensions

  bool operator==(const RotarySpec&) const = default;
};

// The inverse frequencies, [dim/2], for texts of so many positions (which matters to `dynamic` alone).
std::vector<double> rotary_frequencies(const RotarySpec& spec, int64_t positions);

// cosine and sine, [positions, dim/2].
RotaryTable rotary_table(const RotarySpec& spec, int64_t positions);

}  // namespace qkv
