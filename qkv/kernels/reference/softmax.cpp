#include "qkv/kernels/reference/element.h"
#include "qkv/kernels/reference/reference.h"

#include <cmath>
#include <limits>

namespace qkv::kernels::reference_set {
namespace {

double log_sum_exp(const void* x, DType type, int64_t begin, int64_t width) {
  double highest = -std::numeric_limits<double>::infinity();
  for (int64_t j = 0; j < width; ++j) highest = std::max(highest, load(x, type, begin + j));
  double sum = 0;
  for (int64_t j = 0; j < width; ++j) sum += std::exp(load(x, type, begin + j) - highest);
  return highest + std::log(sum);
}

}  // namespace

void softmax(const Softmax& a) {
  for (int64_t i = 0; i < a.rows; ++i) {
    const double lse = log_sum_exp(a.x, a.type, i * a.width, a.width);
    for (int64_t j = i * a.width; j < (i + 1) * a.width; ++j) {
      const double value = load(a.x, a.type, j) - lse;
      store(a.y, a.type, j, a.log ? value : std::exp(value));
    }
  }
}

void softmax_backward(const SoftmaxBackward& a) {
  for (int64_t i = 0; i < a.rows; ++i) {
    double sum = 0;
    for (int64_t j = i * a.width; j < (i + 1) * a.width; ++j)
      sum += load(a.dy, a.type, j) * (a.log ? 1 : load(a.y, a.type, j));
    for (int64_t j = i * a.width; j < (i + 1) * a.width; ++j) {
      const double y = load(a.y, a.type, j);
      const double dy = load(a.dy, a.type, j);
      store(a.dx, a.type, j, a.log ? dy - std::exp(y) * sum : y * (dy - sum));
    }
  }
}

void cross_entropy(const CrossEntropy& a) {
  const double n = static_cast<double>(a.vocab);
  for (int64_t i = 0; i < a.rows; ++i) {
    const int64_t row = i * a.ld;
    const int32_t target = a.targets[i];
    const bool ignored = target < 0 || target >= a.vocab;
    a.loss[i] = 0;
    if (ignored) {
      for (int64_t j = 0; j < a.vocab && a.dlogits != nullptr; ++j) store(a.dlogits, a.type, row + j, 0);
      continue;
    }
    const double lse = log_sum_exp(a.logits, a.type, row, a.vocab);
    double mean = 0;
    for (int64_t j = 0; j < a.vocab; ++j) mean += load(a.logits, a.type, row + j) / n;
    a.loss[i] = static_cast<float>((1 - a.smoothing) * (lse - load(a.logits, a.type, row + target)) +
                                   a.smoothing * (lse - mean));
    for (int64_t j = 0; j < a.vocab && a.dlogits != nullptr; ++j) {
      const double p = std::exp(load(a.logits, a.type, row + j) - lse);
      store(a.dlogits, a.type, row + j, a.scale * (p - (j == target ? 1 - a.smoothing : 0) - a.smoothing / n));
    }
  }
}

}  // namespace qkv::kernels::reference_set
