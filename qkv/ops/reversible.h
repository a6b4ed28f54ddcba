// Layers whose inputs follow from their outputs, so that nothing of them is kept for the backward pass.
#pragma once

#include "qkv/tensor/tensor.h"

#include <functional>
#include <utility>
#include <vector>

namespace qkv {

// y1 = x1 + f(x2), y2 = x2 + g(y1). Both must compute the same twice.
struct ReversibleLayer {
  std::function<Tensor(const Tensor&)> f, g;
};

// Runs the layers one after the other on the two streams (Gomez et al. 2017, arXiv 1707.04585). Memory for the backward
// pass does not grow with their number: it walks back from the last outputs, x2 = y2 - g(y1), x1 = y1 - f(x2), and runs
// f and g again. Recovered streams differ from the first ones by rounding.
std::pair<Tensor, Tensor> reversible(const Tensor& x1, const Tensor& x2, std::vector<ReversibleLayer> layers);

}  // namespace qkv
