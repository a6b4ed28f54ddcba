// Products with packed weights: rows of x become integers, then the fastest product that the processor has takes them.
#include "qkv/kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/cpu/packed.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/instruction_sets.h"
#include "qkv/kernels/cpu/packed_product-inl.h"
#include "qkv/kernels/cpu/panels.h"
#include "qkv/tensor/tensor.h"

#include <cmath>

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {
namespace {

template <typename T>
HWY_INLINE float largest(const T* x, int64_t count) {
  V most = hn::Zero(F());
  for (int64_t i = 0; i < count; i += lanes())
    most = hn::Max(most, hn::Abs(load_at(x + i, 0, std::min(lanes(), count - i))));
  return max_of(most);
}

// q = round(x / scale) and its sum.
template <typename T>
HWY_INLINE int32_t rounded(const T* x, int64_t count, float inverse, int8_t* q) {
  const hn::Rebind<int8_t, F> bytes;
  VI sum = hn::Zero(I());
  for (int64_t i = 0; i < count; i += lanes()) {
    const int64_t part = std::min(lanes(), count - i);
    const VI whole = hn::NearestInt(hn::Mul(load_at(x + i, 0, part), splat(inverse)));
    sum = hn::Add(sum, whole);
    alignas(64) int8_t buffer[HWY_MAX_BYTES / sizeof(float)];
    const auto narrow = hn::DemoteTo(bytes, whole);
    if (part == lanes()) {
      hn::StoreU(narrow, bytes, q + i);
    } else {
      hn::StoreU(narrow, bytes, buffer);
      std::memcpy(q + i, buffer, static_cast<size_t>(part));
    }
  }
  return hn::GetLane(hn::SumOfLanes(I(), sum));
}

// What QuantisedRows holds, from one of `rows` rows on.
struct RoundedRow {
  int64_t rows;
  int8_t* values;
  float* scales;
  int32_t* starts;
  float* sums;
  int16_t* part_sums;
};

// Each `length` columns have one scale, and are `parts` parts.
template <typename T>
HWY_INLINE void quantise_row(const T* x, int64_t k, int64_t length, int64_t parts, int32_t offset,
                             const RoundedRow& to) {
  for (int64_t b = 0; b * length < k; ++b) {
    const T* from = x + b * length;
    const float most = largest(from, length);
    const float inverse = most > 0 ? 127 / most : 0;
    int32_t sum = 0;
    for (int64_t p = 0; p < parts; ++p) {
      const int64_t part = length / parts;
      const int32_t of_part = rounded(from + p * part, part, inverse, to.values + b * length + p * part);
      if (parts > 1) to.part_sums[(b * parts + p) / 2 * to.rows * 2 + p % 2] = static_cast<int16_t>(of_part);
      sum += of_part;
    }
    to.scales[b * to.rows] = most / 127;
    to.starts[b * to.rows] = -offset * sum;
    to.sums[b * to.rows] = most / 127 * static_cast<float>(sum);
  }
}

void quantise_and_multiply(const PackedGemm& g) {
  const PackedLayout layout = layout_of(g.type);
  const int64_t padded = packed_columns(g.k);
  const int64_t length = layout.scales == 0 ? std::max<int64_t>(1, g.k) : layout.blocks * block_columns;
  const int64_t parts = layout.own_scales ? layout.blocks * layout.scales : 1;
  const int64_t blocks = g.k / length;
  // One piece of memory: where one row goes through a small weight, asking for five takes longer than rounding.
  const auto floats = [](int64_t count, size_t bytes) {
    return (count * static_cast<int64_t>(bytes) + 63) / 64 * 64 / static_cast<int64_t>(sizeof(float));
  };
  const int64_t for_values = floats(g.m * padded, sizeof(int8_t)), for_each = floats(g.m * blocks, sizeof(float));
  const Tensor memory = Tensor::empty({for_values + 3 * for_each + floats(g.m * blocks * parts, sizeof(int16_t))});
  auto* const q = static_cast<int8_t*>(memory.raw());
  float* const scales = memory.data<float>() + for_values;
  auto* const starts = reinterpret_cast<int32_t*>(scales + for_each);
  float* const sums = scales + 2 * for_each;
  auto* const of_parts = reinterpret_cast<int16_t*>(scales + 3 * for_each);
  with_type(g.a_type, [&](auto t) HWY_ATTR {
    using T = decltype(t);
    parallel_for(g.m, std::max<int64_t>(1, elementwise_grain / std::max<int64_t>(1, g.k)),
                 [&](int64_t begin, int64_t end) HWY_ATTR {
                   for (int64_t r = begin; r < end; ++r) {
                     std::memset(q + r * padded + g.k, 0, static_cast<size_t>(padded - g.k));
                     quantise_row(static_cast<const T*>(g.a) + r * g.lda, g.k, length, parts, offset_of(layout),
                                  {g.m, q + r * padded, scales + r, starts + r, sums + r, of_parts + 2 * r});
                   }
                 });
  });
  const QuantisedRows x{g.m, q, scales, starts, sums, of_parts};
  PackedGemm whole = g;
  whole.k = padded;
  if (HWY_TARGET == HWY_AVX3 && vnni_supported()) return packed_product_vnni(whole, x);
  packed_product(whole, x);
}

}  // namespace
void packed_gemm_on_target(const PackedGemm& g) { quantise_and_multiply(g); }
}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels::cpu_set {
QKV_EXPORT(packed_gemm_on_target);
namespace {

Tensor without_columns(const PackedGemm& g, const std::vector<int64_t>& columns) {
  const Tensor rows = Tensor::empty({g.m, g.k}, g.a_type);
  copy({.rank = 2,
        .size = {g.m, g.k},
        .x = g.a,
        .x_type = g.a_type,
        .x_stride = {g.lda, 1},
        .y = rows.raw(),
        .y_type = g.a_type,
        .y_stride = {g.k, 1}});
  with_type(g.a_type, [&](auto t) {
    using T = decltype(t);
    for (int64_t r = 0; r < g.m; ++r)
      for (const int64_t p : columns) rows.data<T>()[r * g.k + p] = T(0.0F);
  });
  return rows;
}

}  // namespace

void packed_gemm(const PackedGemm& g) {
  if (g.m == 0 || g.n == 0) return;
  if (in_panels(g.type)) return panel_gemm(g);
  const std::vector<int64_t> apart = outlier_columns(g);
  if (apart.empty()) return QKV_DISPATCH(packed_gemm_on_target)(g);
  const Tensor others = without_columns(g, apart);
  PackedGemm rest = g;
  rest.a = others.raw();
  rest.lda = g.k;
  rest.activation = Activation::none;
  QKV_DISPATCH(packed_gemm_on_target)(rest);
  add_outliers(g, apart);
  if (g.activation == Activation::none) return;
  for (int64_t i = 0; i < g.m; ++i) {
    void* row = static_cast<char*>(g.c) + i * g.ldc * size_of(g.c_type);
    activate({.kind = g.activation, .count = g.n, .type = g.c_type, .x = row, .y = row});
  }
}
}  // namespace qkv::kernels::cpu_set
#endif
