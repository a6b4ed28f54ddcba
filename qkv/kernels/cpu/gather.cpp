#include "qkv/kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/cpu/gather.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/instruction_sets.h"
#include "qkv/kernels/cpu/dispatch.h"
#include "qkv/kernels/cpu/vector-inl.h"
#include "qkv/kernels/on_host.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {

template <typename T, typename O>
void gather_of(const Gather& a) {
  const int64_t grain = std::max<int64_t>(1, elementwise_grain / std::max<int64_t>(1, a.width));
  parallel_for(a.rows, grain, [&](int64_t begin, int64_t end) HWY_ATTR {
    for (int64_t i = begin; i < end; ++i) {
      const T* from = static_cast<const T*>(a.table) + a.ids[i] * a.width;
      O* to = static_cast<O*>(a.out) + i * a.width;
      if (a.accumulate) {
        map(from, to, to, a.width, [](V x, V y) HWY_ATTR { return hn::Add(x, y); });
      } else {
        map(from, to, a.width, [](V x) HWY_ATTR { return x; });
      }
    }
  });
}

void gather_on_target(const Gather& a) {
  with_type(a.table_type, [&](auto t) HWY_ATTR {
    with_type(a.out_type, [&](auto o) HWY_ATTR { gather_of<decltype(t), decltype(o)>(a); });
  });
}

// Each thread takes some of the columns of every row, so that rows meet in the order of the ids whatever the threads
// do.
void scatter_add_on_target(const ScatterAdd& a) {
  const int64_t line = 16;  // columns are dealt in cache lines
  const int64_t columns = (a.width + line - 1) / line;
  const int64_t grain = std::max<int64_t>(1, elementwise_grain / line / std::max<int64_t>(1, a.rows));
  with_type(a.type, [&](auto t) HWY_ATTR {
    using T = decltype(t);
    parallel_for(columns, grain, [&](int64_t begin, int64_t end) HWY_ATTR {
      const int64_t first = begin * line;
      const int64_t count = std::min(end * line, a.width) - first;
      for (int64_t i = 0; i < a.rows; ++i) {
        if (a.ids[i] == a.padding) continue;
        float* to = a.out + a.ids[i] * a.width + first;
        map(static_cast<const T*>(a.x) + i * a.width + first, to, to, count,
            [](V x, V y) HWY_ATTR { return hn::Add(x, y); });
      }
    });
  });
}

template <typename T, typename O>
void convert(const void* x, void* y, int64_t count) {
  parallel_for(count, 2 * elementwise_grain, [&](int64_t begin, int64_t end) HWY_ATTR {
    map(static_cast<const T*>(x) + begin, static_cast<O*>(y) + begin, end - begin, [](V v) HWY_ATTR { return v; });
  });
}

// A dense run of f32 or bf16 to the other.
void convert_on_target(const void* x, DType x_type, void* y, int64_t count) {
  if (x_type == DType::f32) {
    convert<float, bf16>(x, y, count);
  } else {
    convert<bf16, float>(x, y, count);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "qkv/tensor/shape.h"

#include <cstring>

namespace qkv::kernels::cpu_set {
QKV_EXPORT(gather_on_target);
QKV_EXPORT(scatter_add_on_target);
QKV_EXPORT(convert_on_target);
void gather(const Gather& a) {
  if (a.packed) return gather_of_packed(a);
  if (is_block(a.table_type)) return gather_of_blocks(a);
  QKV_DISPATCH(gather_on_target)(a);
}
void scatter_add(const ScatterAdd& a) { QKV_DISPATCH(scatter_add_on_target)(a); }

namespace {

// Copies a block whose last dimension is dense on both sides, or whose elements go one by one.
template <typename T>
void copy_elements(const Copy& a, int d, const T* x, T* y) {
  if (d >= std::min(a.rank, Shape::max_rank)) {
    *y = *x;
    return;
  }
  if (d == a.rank - 1 && a.x_stride[d] == 1 && a.y_stride[d] == 1) {
    std::memcpy(y, x, static_cast<size_t>(a.size[d]) * sizeof(T));
    return;
  }
  for (int64_t i = 0; i < a.size[d]; ++i) copy_elements(a, d + 1, x + i * a.x_stride[d], y + i * a.y_stride[d]);
}

// A matrix turned over: squares small enough that both sides stay in cache.
template <typename T>
void transpose(const Copy& a, const T* x, T* y) {
  constexpr int64_t square = 32;
  const int64_t tiles = (a.size[0] + square - 1) / square;
  parallel_for(tiles, std::max<int64_t>(1, 2 * elementwise_grain / square / std::max<int64_t>(1, a.size[1])),
               [&](int64_t begin, int64_t end) {
                 for (int64_t tile = begin; tile < end; ++tile)
                   for (int64_t j0 = 0; j0 < a.size[1]; j0 += square)
                     for (int64_t i = tile * square; i < std::min(a.size[0], (tile + 1) * square); ++i)
                       for (int64_t j = j0; j < std::min(a.size[1], j0 + square); ++j)
                         y[i * a.y_stride[0] + j * a.y_stride[1]] = x[i * a.x_stride[0] + j * a.x_stride[1]];
               });
}

template <typename T>
void copy_same_type(const Copy& a) {
  const T* x = static_cast<const T*>(a.x);
  T* y = static_cast<T*>(a.y);
  if (a.rank == 0) {
    *y = *x;
  } else if (a.rank == 2 && a.x_stride[1] != 1) {
    transpose(a, x, y);
  } else {
    Copy inner = a;
    inner.rank = a.rank - 1;
    for (int d = 1; d < a.rank; ++d) {
      inner.size[d - 1] = a.size[d];
      inner.x_stride[d - 1] = a.x_stride[d];
      inner.y_stride[d - 1] = a.y_stride[d];
    }
    int64_t count = 1;
    for (int d = 0; d < inner.rank; ++d) count *= inner.size[d];
    parallel_for(a.size[0], std::max<int64_t>(1, 2 * elementwise_grain / std::max<int64_t>(1, count)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i)
                     copy_elements(inner, 0, x + i * a.x_stride[0], y + i * a.y_stride[0]);
                 });
  }
}

bool dense(const Copy& a, const int64_t* strides) {
  int64_t step = 1;
  for (int d = a.rank - 1; d >= 0; --d) {
    if (a.size[d] != 1 && strides[d] != step) return false;
    step *= a.size[d];
  }
  return true;
}

}  // namespace

void copy(const Copy& call) {
  const Copy a = with_place(call);
  int64_t count = 1;
  for (int d = 0; d < a.rank; ++d) count *= a.size[d];
  if (count == 0) return;
  if (is_block(a.x_type)) return copy_of_blocks(a);
  if (is_block(a.y_type)) return convert_rows(a);
  if (a.x_type == a.y_type) {
    if (dense(a, a.x_stride) && dense(a, a.y_stride)) {
      const int64_t size = size_of(a.x_type);
      parallel_for(count, 4 * elementwise_grain, [&](int64_t begin, int64_t end) {
        std::memcpy(static_cast<char*>(a.y) + begin * size, static_cast<const char*>(a.x) + begin * size,
                    static_cast<size_t>((end - begin) * size));
      });
      return;
    }
    switch (size_of(a.x_type)) {
      case 1:
        return copy_same_type<uint8_t>(a);
      case 2:
        return copy_same_type<uint16_t>(a);
      case 4:
        return copy_same_type<uint32_t>(a);
      default:
        return copy_same_type<uint64_t>(a);
    }
  }
  const bool fast_pair =
      (a.x_type == DType::f32 && a.y_type == DType::bf16) || (a.x_type == DType::bf16 && a.y_type == DType::f32);
  if (fast_pair && dense(a, a.x_stride) && dense(a, a.y_stride)) {
    QKV_DISPATCH(convert_on_target)(a.x, a.x_type, a.y, count);
  } else if (fast_pair && a.x_stride[a.rank - 1] == 1 && a.y_stride[a.rank - 1] == 1) {
    convert_rows(a);
  } else {
    reference().copy(a);
  }
}
}  // namespace qkv::kernels::cpu_set
#endif
