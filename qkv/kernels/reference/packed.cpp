// Weights that only inference reads. Here a packed weight is its blocks or its numbers, or, for i8, the bound of
// outliers, the scales of its rows and their integers.
#include "qkv/kernels/blocks.h"
#include "qkv/kernels/reference/element.h"
#include "qkv/kernels/reference/reference.h"

#include <cmath>
#include <cstring>
#include <vector>

namespace qkv::kernels::reference_set {
namespace {

struct Integers {
  float* outlier;
  float* scales;
  int8_t* values;
  Integers(void* packed, int64_t n)
      : outlier(static_cast<float*>(packed)), scales(outlier + 1), values(reinterpret_cast<int8_t*>(scales + n)) {}
};

// What integers of at most 127 make of `count` values.
void round_to_integers(float* x, int64_t count) {
  float most = 0;
  for (int64_t i = 0; i < count; ++i) most = std::max(most, std::abs(x[i]));
  const float inverse = most > 0 ? 127 / most : 0;
  for (int64_t i = 0; i < count; ++i) x[i] = std::nearbyint(x[i] * inverse) * (most / 127);
}

std::vector<float> row_of(const PackedGemm& g, int64_t j) {
  std::vector<float> w(static_cast<size_t>(g.k));
  if (!is_block(g.type) && g.type != DType::i8) {
    for (int64_t p = 0; p < g.k; ++p)
      w[static_cast<size_t>(p)] = static_cast<float>(load(g.packed, g.type, j * g.k + p));
    return w;
  }
  if (g.type != DType::i8) {
    dequantize_row(g.type, static_cast<const uint8_t*>(g.packed) + j * bytes_of(g.type, g.k), w.data(), g.k);
    return w;
  }
  const Integers all(const_cast<void*>(g.packed), g.n);
  for (int64_t p = 0; p < g.k; ++p)
    w[static_cast<size_t>(p)] = all.scales[j] * static_cast<float>(all.values[j * g.k + p]);
  return w;
}

}  // namespace

int64_t packed_bytes(DType type, int64_t n, int64_t k, bool) {
  return type == DType::i8 ? n * k + (n + 1) * static_cast<int64_t>(sizeof(float)) : n * bytes_of(type, k);
}

bool pack(const Pack& a) {
  if (!is_block(a.type) && a.type != DType::i8) {
    for (int64_t i = 0; i < a.n * a.k; ++i) store(a.packed, a.type, i, load(a.rows, a.rows_type, i));
    return true;
  }
  if (is_block(a.type)) {
    std::memcpy(a.packed, a.rows, static_cast<size_t>(packed_bytes(a.type, a.n, a.k, true)));
    return true;
  }
  const Integers all(a.packed, a.n);
  *all.outlier = a.outlier;
  for (int64_t j = 0; j < a.n; ++j) {
    float most = 0;
    const auto weight = [&](int64_t p) { return static_cast<float>(load(a.rows, a.rows_type, j * a.k + p)); };
    for (int64_t p = 0; p < a.k; ++p) most = std::max(most, std::abs(weight(p)));
    all.scales[j] = most / 127;
    const float inverse = most > 0 ? 127 / most : 0;
    for (int64_t p = 0; p < a.k; ++p)
      all.values[j * a.k + p] = static_cast<int8_t>(std::nearbyint(weight(p) * inverse));
  }
  return true;
}

void packed_gemm(const PackedGemm& g) {
  const float outlier = g.type == DType::i8 ? *static_cast<const float*>(g.packed) : 0;
  std::vector<float> x(static_cast<size_t>(g.m * g.k));
  std::vector<bool> apart(static_cast<size_t>(g.k), false);
  for (int64_t i = 0; i < g.m; ++i)
    for (int64_t p = 0; p < g.k; ++p) {
      const float value = static_cast<float>(load(g.a, g.a_type, i * g.lda + p));
      x[static_cast<size_t>(i * g.k + p)] = value;
      if (outlier > 0 && std::abs(value) > outlier) apart[static_cast<size_t>(p)] = true;
    }
  std::vector<float> kept = x;  // the outliers' columns as they are
  const int64_t block = is_block(g.type) ? block_length(g.type) : g.k;
  for (int64_t i = 0; i < g.m; ++i) {
    float* row = kept.data() + i * g.k;
    for (int64_t p = 0; p < g.k; ++p)
      if (apart[static_cast<size_t>(p)]) row[p] = 0;
    if (is_block(g.type) || g.type == DType::i8)
      for (int64_t p = 0; p < g.k; p += block) round_to_integers(row + p, block);
    if (g.type == DType::bf16)
      for (int64_t p = 0; p < g.k; ++p) row[p] = static_cast<float>(bf16(row[p]));
    if (g.type == DType::f16)
      for (int64_t p = 0; p < g.k; ++p) row[p] = static_cast<float>(f16(row[p]));
    for (int64_t p = 0; p < g.k; ++p)
      if (apart[static_cast<size_t>(p)]) row[p] = x[static_cast<size_t>(i * g.k + p)];
  }
  for (int64_t j = 0; j < g.n; ++j) {
    const std::vector<float> w = row_of(g, j);
    for (int64_t i = 0; i < g.m; ++i) {
      double sum = g.bias != nullptr ? g.bias[j] : 0;
      for (int64_t p = 0; p < g.k; ++p)
        sum += static_cast<double>(kept[static_cast<size_t>(i * g.k + p)]) * w[static_cast<size_t>(p)];
      store(g.c, g.c_type, i * g.ldc + j, activation_value(g.activation, sum));
    }
  }
}

}  // namespace qkv::kernels::reference_set
