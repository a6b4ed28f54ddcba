// What all parts share: named parameters with a role.
#pragma once

#include "qkv/tensor/tensor.h"

#include <functional>
#include <string>

namespace qkv {

// What a parameter is for. Decides how it starts, whether weight decay applies (matrices and embeddings only), which
// optimizer may take it (Muon: matrices), and whether inference may keep it in bf16 (matrices and embeddings).
enum class Role : uint8_t {
  matrix,           // normal(0, std)
  residual_matrix,  // writes into the residual stream: normal(0, std / sqrt(2 layers)) where the Spec asks for it
  embedding,        // normal(0, std)
  scale,            // ones
  bias,             // zeros
  filter,           // of a convolution along time: uniform in [-1, 1] / sqrt(taps)
  decay_log,        // of a state space: ln 1, ln 2, ... along the last dimension (S4D-real, Gu et al. 2022)
  average_rate,     // of a moving average, before the sigmoid: normal(0, 0.2) (Ma et al. 2022)
  average_input,    // of a moving average: +1 and -1 in turn, and normal(0, 0.02)
  average_output,   // of a moving average: normal(0, 1)
  vector,           // normal(0, std), in f32 always
  time_step,        // of a state space: softplus of it is log-uniform in [0.001, 0.1] (Gu & Dao 2023)
  fixed,            // zeros, and never trained: a buffer of the checkpoint
};

// Decays, and may be kept in bf16.
inline bool is_matrix(Role role) {
  return role == Role::matrix || role == Role::residual_matrix || role == Role::embedding;
}

// Called with every parameter of a part: its dotted name ("blocks.3.attention.qkv.weight"), itself, its role.
using ParameterVisitor = std::function<void(const std::string& name, Tensor& value, Role role)>;

}  // namespace qkv
