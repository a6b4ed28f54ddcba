// Many arrays in one launch, each cut into spans of elements: a block takes a span.
#pragma once

#include "qkv/kernels/cuda/elements.h"

#include <cstdint>
#include <span>

namespace qkv::kernels::cuda_set {

// As many arrays as a kernel's arguments hold. Array has a `count` of elements.
template <typename Array, int most, int64_t elements>
struct Spans {
  Array array[most];
  int64_t end[most];  // spans of this array and those before it
  int arrays = 0;

  int64_t blocks() const { return arrays > 0 ? end[arrays - 1] : 0; }
  static int64_t spans_of(const Array& a) { return (a.count + elements - 1) / elements; }

  struct Span {
    const Array& array;
    int64_t begin, end;  // of its elements
  };
  __device__ Span of_block(int64_t block) const {
    int which = 0;
    while (end[which] <= block) ++which;
    const Array& a = array[which];
    const int64_t begin = (block - (which > 0 ? end[which - 1] : 0)) * elements;
    return {a, begin, begin + elements < a.count ? begin + elements : a.count};
  }
};

// Calls start(spans) until all arrays have been in one; empty ones are left out.
template <typename Filled, typename Array, typename Start>
void for_spans(std::span<const Array> arrays, const Start& start) {
  Filled some;
  static_assert(sizeof some < 4000);
  constexpr int most = sizeof some.array / sizeof(Array);
  for (const Array& a : arrays) {
    if (a.count == 0) continue;
    some.end[some.arrays] = some.blocks() + Filled::spans_of(a);
    some.array[some.arrays] = a;
    if (++some.arrays < most) continue;
    start(some);
    some.arrays = 0;
  }
  if (some.arrays > 0) start(some);
}

}  // namespace qkv::kernels::cuda_set
