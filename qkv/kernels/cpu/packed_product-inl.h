// y = x W^T + b with a packed weight and quantised rows of x. Included once for each instruction set.
#if defined(QKV_KERNELS_CPU_PACKED_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_CPU_PACKED_PRODUCT_INL_H_
#undef QKV_KERNELS_CPU_PACKED_PRODUCT_INL_H_
#else
#define QKV_KERNELS_CPU_PACKED_PRODUCT_INL_H_
#endif

#include "hwy/highway.h"
#include "qkv/core/parallel_tasks.h"
#include "qkv/kernels/cpu/blocks_tile-inl.h"
#include "qkv/kernels/cpu/dispatch.h"
#include "qkv/kernels/cpu/packed_finish-inl.h"
#include "qkv/kernels/cpu/packed_tile-inl.h"
#include "qkv/kernels/cpu/scratch.h"

HWY_BEFORE_NAMESPACE();
#if defined(QKV_VNNI)
HWY_PUSH_ATTRIBUTES("avx512vnni")
#endif
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {
namespace {

// Rows of x that a tile takes: some registers each, beside those of the codes.
constexpr int most_rows = HWY_TARGET == HWY_AVX3 ? 12 : 4;

template <const PackedLayout& layout>
HWY_INLINE int64_t tile_of_some(const uint8_t* group, int64_t k, const QuantisedRows& x, int64_t row, int64_t left,
                                float* out) {
  if (left >= most_rows) return tile<layout, most_rows>(group, k, x, row, out), most_rows;
  if constexpr (most_rows > 8) {
    if (left >= 8) return tile<layout, 8>(group, k, x, row, out), 8;
  }
  if (left >= 4) return tile<layout, 4>(group, k, x, row, out), 4;
  if (left >= 2) return tile<layout, 2>(group, k, x, row, out), 2;
  return tile<layout, 1>(group, k, x, row, out), 1;
}

// Group i of a weight in blocks, until this thread asks for another.
inline const uint8_t* packed_on_the_way(const Pack& blocks, int64_t i, int64_t bytes) {
  struct Group;
  auto* group = reinterpret_cast<uint8_t*>(thread_scratch<Group>(bytes / 4));
  pack_group(blocks, i * group_rows, std::min(group_rows, blocks.n - i * group_rows), group);
  return group;
}

// Threads share out the groups of the weight. Rows of x go in chunks that stay in the second-level cache while the
// weight passes by.
void packed_product(const PackedGemm& g, const QuantisedRows& x) {
  constexpr int64_t chunk_bytes = 512 * 1024;
  constexpr int64_t work_of_a_thread = 200000;  // multiplications: a few microseconds
  const int64_t chunk = std::max<int64_t>(most_rows, chunk_bytes / std::max<int64_t>(1, g.k) / most_rows * most_rows);
  const int64_t grain = std::max<int64_t>(1, work_of_a_thread / std::max<int64_t>(1, group_rows * g.k * g.m));
  with_layout(g.type, [&](auto tag) HWY_ATTR {
    constexpr const PackedLayout& layout = decltype(tag)::layout;
    const int64_t bytes = layout.group_bytes(g.k);
    const Pack blocks{.type = g.type, .n = g.n, .k = g.k, .rows = g.packed};
    parallel_tasks((g.n + group_rows - 1) / group_rows, grain, [&](int64_t begin, int64_t end) HWY_ATTR {
      alignas(64) float out[most_rows * group_rows];
      for (int64_t top = 0; top < g.m; top += chunk)
        for (int64_t i = begin; i < end; ++i) {
          if (g.in_blocks && g.m <= rows_in_blocks<decltype(tag)::type>()) {
            tile_in_blocks(g, x, i * group_rows, out);
            finish_rows(g, out, group_rows, 0, g.m, i * group_rows);
            continue;
          }
          const uint8_t* group = static_cast<const uint8_t*>(g.packed) + i * bytes;
          if (g.in_blocks) group = packed_on_the_way(blocks, i, bytes);
          const int64_t bottom = std::min(g.m, top + chunk);
          for (int64_t row = top; row < bottom;) {
            const int64_t rows = tile_of_some<layout>(group, g.k, x, row, bottom - row, out);
            finish_rows(g, out, group_rows, row, rows, i * group_rows);
            row += rows;
          }
        }
    });
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
#if defined(QKV_VNNI)
HWY_POP_ATTRIBUTES
#endif
HWY_AFTER_NAMESPACE();

#endif
