// Copies of rows whose numbers become another type, as a cache of keys and values takes them, and to places in pages:
// f32 and bf16 to each other, and into q8_0 blocks (quantize_q8_0() in kernels/blocks.h, bit for bit).
#include "qkv/kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/cpu/convert_rows.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "qkv/kernels/blocks.h"
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/instruction_sets.h"
#include "qkv/kernels/cpu/dispatch.h"
#include "qkv/kernels/cpu/vector-inl.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {

template <typename T, typename O>
void convert_row(const T* x, O* y, int64_t count) {
  if constexpr (std::is_same_v<T, O>) {
    std::memcpy(y, x, static_cast<size_t>(count) * sizeof(T));
  } else {
    map(x, y, count, [](V v) HWY_ATTR { return v; });
  }
}
template <typename T>
void convert_row(const T* x, BlockQ8_0* blocks, int64_t count) {
  constexpr int64_t length = 32;
  const hn::Rebind<int8_t, F> codes;
  for (int64_t b = 0; b < count / length; ++b) {
    const T* from = x + b * length;
    // As integers, the sizes of numbers are in order up to infinity, and NaN is beyond.
    auto bits = hn::Zero(I());
    for (int64_t i = 0; i < length; i += lanes()) bits = hn::Max(bits, hn::BitCast(I(), hn::Abs(load(from + i))));
    const float largest = std::bit_cast<float>(hn::GetLane(hn::MaxOfLanes(I(), bits)));
    const bool bounded = largest <= most_q8_0;
    const V inverse = splat(bounded && largest > least_q8_0 ? 127 / largest : 0);
    blocks[b].d = f16(bounded ? largest / 127 : std::numeric_limits<float>::quiet_NaN());
    for (int64_t i = 0; i < length; i += lanes()) {
      const V scaled = bounded ? hn::Mul(load(from + i), inverse) : hn::Zero(F());
      hn::StoreU(hn::DemoteTo(codes, hn::NearestInt(scaled)), codes, blocks[b].codes + i);
    }
  }
}

template <typename T, typename O>
void convert_rows_of(const Copy& a) {
  const int64_t width = a.size[a.rank - 1];
  const int64_t block = std::is_same_v<O, BlockQ8_0> ? 32 : 1;
  int64_t rows = 1;
  for (int d = 0; d < a.rank - 1; ++d) rows *= a.size[d];
  parallel_for(rows, std::max<int64_t>(1, elementwise_grain / width), [&](int64_t begin, int64_t end) HWY_ATTR {
    for (int64_t row = begin; row < end; ++row) {
      int64_t rest = row, from = 0, to = 0;
      for (int d = a.rank - 2; d >= 0; --d) {
        from += rest % a.size[d] * a.x_stride[d];
        to += rest % a.size[d] * a.y_stride[d];
        rest /= a.size[d];
      }
      convert_row(static_cast<const T*>(a.x) + from, static_cast<O*>(a.y) + to / block, width);
    }
  });
}

void convert_rows_on_target(const Copy& a) {
  with_type(a.x_type, [&](auto t) {
    using T = decltype(t);
    if (a.y_type == DType::q8_0) return convert_rows_of<T, BlockQ8_0>(a);
    with_type(a.y_type, [&](auto o) { convert_rows_of<T, decltype(o)>(a); });
  });
}

template <typename T, typename O>
void write_pages_of(const WritePages& a) {
  const int64_t block = std::is_same_v<O, BlockQ8_0> ? 32 : 1;
  const auto write = [&](const ConstHeads& from, void* pages, int64_t i) HWY_ATTR {
    const T* x = static_cast<const T*>(from.data) + i * from.time_stride;
    const int64_t page = a.places[i] / a.page_size, row = a.places[i] % a.page_size;
    O* y = static_cast<O*>(pages) + (page * a.heads * a.page_size + row) * a.head_dim / block;
    for (int64_t h = 0; h < a.heads; ++h)
      convert_row(x + h * from.head_stride, y + h * a.page_size * a.head_dim / block, a.head_dim);
  };
  parallel_for(a.rows, std::max<int64_t>(1, elementwise_grain / (2 * a.heads * a.head_dim)),
               [&](int64_t begin, int64_t end) HWY_ATTR {
                 for (int64_t i = begin; i < end; ++i) {
                   if (a.places[i] < 0) continue;
                   write(a.k, a.keys, i);
                   write(a.v, a.values, i);
                 }
               });
}

void write_pages_on_target(const WritePages& a) {
  with_type(a.type, [&](auto t) {
    using T = decltype(t);
    if (a.page_type == DType::q8_0) return write_pages_of<T, BlockQ8_0>(a);
    with_type(a.page_type, [&](auto o) { write_pages_of<T, decltype(o)>(a); });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels::cpu_set {
QKV_EXPORT(convert_rows_on_target);
QKV_EXPORT(write_pages_on_target);
void convert_rows(const Copy& a) { QKV_DISPATCH(convert_rows_on_target)(a); }
void write_pages(const WritePages& a) { QKV_DISPATCH(write_pages_on_target)(a); }
}  // namespace qkv::kernels::cpu_set
#endif
