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
HWY_INLINE void write_rows(const PackedGemm& g, const float* out, int64_t width, int64_t row, int64_t rows,
                           int64_t first) {
  const int64_t count = std::min(width, g.n - first);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t lane = 0; lane < count; lane += lanes()) {
      const int64_t part = std::min(lanes(), count - lane);
      store_at(load(out + r * width + lane), static_cast<C*>(g.c) + (row + r) * g.ldc + first + lane, 0, part);
    }
}

// Into C from row `row` and column `first` on: out[rows][width], columns beyond n left out. Changes out.
HWY_NOINLINE void finish_rows(const PackedGemm& g, float* out, int64_t width, int64_t row, int64_t rows,
                              int64_t first) {
  const int64_t count = std::min(width, g.n - first);
  if (g.bias != nullptr)
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t lane = 0; lane < count; lane += lanes()) {
        float* at = out + r * width + lane;
        store(hn::Add(load(at), load_at(g.bias + first + lane, 0, std::min(lanes(), count - lane))), at);
      }
  if (g.activation != Activation::none)
    with_activation(g.activation, [&](auto f) HWY_ATTR {
      for (int64_t i = 0; i < rows * width; i += lanes()) store(decltype(f)::value(load(out + i)), out + i);
    });
  if (g.c_type == DType::bf16) {
    write_rows<bf16>(g, out, width, row, rows, first);
  } else {
    write_rows<float>(g, out, width, row, rows, first);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#endif
