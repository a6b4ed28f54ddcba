#include "qkv/kernels/activation.h"

#include "qkv/core/error.h"

#include <array>
#include <string>

namespace qkv {
namespace {

struct Name {
  std::string_view text;
  Activation activation;
};

// The first name of each is the one that is written.
constexpr std::array<Name, 17> names = {{
    {"linear", Activation::none},
    {"relu", Activation::relu},
    {"gelu", Activation::gelu},
    {"gelu_python", Activation::gelu},
    {"gelu_new", Activation::gelu_tanh},
    {"gelu_pytorch_tanh", Activation::gelu_tanh},
    {"gelu_fast", Activation::gelu_tanh},
    {"gelu_accurate", Activation::gelu_tanh},
    {"quick_gelu", Activation::gelu_quick},
    {"silu", Activation::silu},
    {"swish", Activation::silu},
    {"tanh", Activation::tanh},
    {"sigmoid", Activation::sigmoid},
    {"relu2", Activation::relu_squared},
    {"relu_squared", Activation::relu_squared},
    {"softplus", Activation::softplus},
    {"laplace", Activation::laplace},
}};

}  // namespace

Activation activation_named(std::string_view name) {
  std::string known;
  for (const Name& row : names) {
    if (row.text == name) return row.activation;
    known += (known.empty() ? "" : ", ") + std::string(row.text);
  }
  throw Error("activation", fmt::format("unknown activation '{}'", name), "one of " + known);
}

std::string_view name_of(Activation activation) {
  for (const Name& row : names)
    if (row.activation == activation) return row.text;
  return "?";
}

}  // namespace qkv
