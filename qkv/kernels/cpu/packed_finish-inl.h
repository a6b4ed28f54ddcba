// What becomes of the sums of a packed product: bias, activation, type. Included once for each instruction set.
#if defined(QKV_KERNELS_CPU_PACKED_FINISH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_CPU_PACKED_FINISH_INL_H_
#undef QKV_KERNELS_CPU_PACKED_FINISH_INL_H_
#else
#define QKV_KERNELS_CPU_PACKED_FINISH_INL_H_
#endif

#include "hwy/highway.h"
#include "qkv/kernels/cpu/activations-inl.h"
#include "qkv/kernels/kernels.h"

#include <algorithm>

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {
namespace {

template <typename C>
HWY_INLINE void write_rows(const PackedGemm& g, const float* sums, int64_t width, int64_t row, int64_t rows,
                           int64_t first) {
  const int64_t count = std::min(width, g.n - first);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t lane = 0; lane < count; lane += lanes()) {
      const int64_t part = std::min(lanes(), count - lane);
      store_at(load(sums + r * width + lane), static_cast<C*>(g.c) + (row + r) * g.ldc + first + lane, 0, part);
    }
}

// `width` is a power of two. C[row + r, first + j] = activation(sums[r, j] + bias[first + j]) for j < width, columns
// beyond n left out. Changes sums: one flat loop over them keeps many activations in flight.
HWY_NOINLINE void finish_rows(const PackedGemm& g, float* sums, int64_t width, int64_t row, int64_t rows,
                              int64_t first) {
  const auto bias_of = [&](int64_t column) HWY_ATTR {
    const int64_t left = g.n - first - column;
    return g.bias == nullptr || left <= 0 ? hn::Zero(F())
                                          : load_at(g.bias + first + column, 0, std::min(lanes(), left));
  };
  with_activation(g.activation, [&](auto f) HWY_ATTR {
    for (int64_t i = 0; i < rows * width; i += lanes())
      store(decltype(f)::value(hn::Add(load(sums + i), bias_of(i & (width - 1)))), sums + i);
  });
  if (g.c_type == DType::bf16) {
    write_rows<bf16>(g, sums, width, row, rows, first);
  } else {
    write_rows<float>(g, sums, width, row, rows, first);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#endif
