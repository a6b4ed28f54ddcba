#include "qkv/kernels/reference/reference.h"

#include <vector>

namespace qkv::kernels::reference_set {
namespace {

constexpr double hidden = -1e30;

// Calls body(place in scores, place in bias, whether the key is hidden) for every element of the bias.
template <typename Body>
void for_each(const RelativeBias& a, Body&& body) {
  const int64_t rows = a.by_key ? a.keys : a.queries;
  for (int64_t b = 0; b < a.batch; ++b)
    for (int64_t h = 0; h < a.heads; ++h)
      for (int64_t t = 0; t < a.queries; ++t)
        for (int64_t s = 0; s < a.keys; ++s) {
          const int32_t place = a.places[b * a.places_batch_stride + t * a.keys + s];
          const int64_t row = (b * rows + (a.by_key ? s : t)) * a.heads + h;
          body(row * a.positions + place, ((b * a.heads + h) * a.queries + t) * a.keys + s, place < 0);
        }
}

}  // namespace

void relative_bias(const RelativeBias& a) {
  for_each(a, [&](int64_t from, int64_t to, bool is_hidden) {
    const double value = is_hidden ? hidden : static_cast<double>(a.scale) * a.scores[from];
    a.bias[to] = static_cast<float>(a.accumulate ? a.bias[to] + value : value);
  });
}

void relative_bias_backward(const RelativeBiasBackward& g) {
  const RelativeBias& a = g.forward;
  const int64_t rows = a.by_key ? a.keys : a.queries;
  std::vector<double> sums(static_cast<size_t>(a.batch * rows * a.heads * a.positions), 0);
  for_each(a, [&](int64_t from, int64_t to, bool is_hidden) {
    if (!is_hidden) sums[static_cast<size_t>(from)] += static_cast<double>(a.scale) * g.dbias[to];
  });
  for (size_t i = 0; i < sums.size(); ++i) g.dscores[i] = static_cast<float>(sums[i]);
}

}  // namespace qkv::kernels::reference_set
