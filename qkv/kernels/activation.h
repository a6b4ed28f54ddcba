// The activation functions of feed-forward layers, by the names that Hugging Face configurations use.
#pragma once

#include <cstdint>
#include <string_view>

namespace qkv {

enum class Activation : uint8_t {
  none,
  relu,
  gelu,        // exact: x/2 (1 + erf(x / sqrt 2))  (Hendrycks & Gimpel 2016)
  gelu_tanh,   // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
  gelu_quick,  // x sigmoid(1.702 x)
  silu,        // x sigmoid(x)
  tanh,
  sigmoid,
  relu_squared,  // max(x, 0)^2
  softplus,      // ln(1 + e^x)
  laplace,       // (1 + erf((x - sqrt(1/2)) / (sqrt(2) sqrt(1/4pi)))) / 2: smooths relu_squared (Ma et al. 2022)
};

// "gelu", "gelu_new", "gelu_pytorch_tanh", "silu", "swish", "relu", ... Throws Error for an unknown name.
Activation activation_named(std::string_view name);
std::string_view name_of(Activation activation);

}  // namespace qkv
