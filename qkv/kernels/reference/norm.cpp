#include "qkv/kernels/reference/element.h"
#include "qkv/kernels/reference/reference.h"

#include <cmath>

namespace qkv::kernels::reference_set {

void norm(const Norm& a) {
  const bool layer = a.kind == NormKind::layer;
  for (int64_t i = 0; i < a.rows; ++i) {
    const int64_t row = i * a.width;
    const void* s = a.x;
    if (a.residual != nullptr) {
      for (int64_t j = 0; j < a.width; ++j)
        store(a.sum, a.type, row + j, load(a.x, a.type, row + j) + load(a.residual, a.type, row + j));
      s = a.sum;
    }
    double mean = 0;
    for (int64_t j = 0; layer && j < a.width; ++j) mean += load(s, a.type, row + j);
    mean /= static_cast<double>(a.width);
    double square = 0;
    for (int64_t j = 0; j < a.width; ++j) square += std::pow(load(s, a.type, row + j) - mean, 2);
    const double rstd = 1 / std::sqrt(square / static_cast<double>(a.width) + a.eps);
    for (int64_t j = 0; j < a.width; ++j) {
      const double normal = (load(s, a.type, row + j) - mean) * rstd;
      store(a.y, a.type, row + j, normal * a.weight[j] + (a.bias != nullptr ? a.bias[j] : 0));
    }
    if (a.mean != nullptr) a.mean[i] = static_cast<float>(mean);
    if (a.rstd != nullptr) a.rstd[i] = static_cast<float>(rstd);
  }
}

void norm_backward(const NormBackward& a) {
  const bool layer = a.kind == NormKind::layer;
  const double n = static_cast<double>(a.width);
  for (int64_t j = 0; j < a.width && !a.accumulate; ++j) {
    if (a.dweight != nullptr) a.dweight[j] = 0;
    if (a.dbias != nullptr) a.dbias[j] = 0;
  }
  for (int64_t i = 0; i < a.rows; ++i) {
    const int64_t row = i * a.width;
    const double mean = layer ? a.mean[i] : 0;
    const double rstd = a.rstd[i];
    const auto normal = [&](int64_t j) { return (load(a.s, a.type, row + j) - mean) * rstd; };
    double sum = 0;
    double dot = 0;
    for (int64_t j = 0; j < a.width; ++j) {
      const double g = load(a.dy, a.type, row + j) * a.weight[j];
      sum += g;
      dot += g * normal(j);
    }
    for (int64_t j = 0; j < a.width; ++j) {
      const double dy = load(a.dy, a.type, row + j);
      if (a.dweight != nullptr) a.dweight[j] += static_cast<float>(dy * normal(j));
      if (a.dbias != nullptr) a.dbias[j] += static_cast<float>(dy);
      double ds = rstd * (dy * a.weight[j] - (layer ? sum / n : 0) - normal(j) * dot / n);
      if (a.dsum != nullptr) ds += load(a.dsum, a.type, row + j);
      store(a.ds, a.type, row + j, ds);
    }
  }
}

}  // namespace qkv::kernels::reference_set
