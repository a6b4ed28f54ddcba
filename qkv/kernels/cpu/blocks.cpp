// Operands in blocks (kernels/blocks.h): taken out of them by the specification, a part at a time on each thread.
#include "qkv/kernels/blocks.h"
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/scratch.h"

#include "qkv/core/threads.h"

#include <algorithm>

namespace qkv::kernels::cpu_set {

// B's rows become f32 as many at a time as a cache holds.
void gemm_of_blocks(const Gemm& g) {
  struct Panel;
  const int64_t rows = std::clamp<int64_t>((int64_t{1} << 18) / std::max<int64_t>(1, g.k), 1, g.n);
  float* panel = thread_scratch<Panel>(rows * g.k);
  for (int64_t begin = 0; begin < g.n; begin += rows) {
    const int64_t count = std::min(rows, g.n - begin);
    parallel_for(count, std::max<int64_t>(1, 4096 / g.k), [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i)
        dequantize_row(g.b_type, static_cast<const char*>(g.b) + bytes_of(g.b_type, (begin + i) * g.ldb),
                       panel + i * g.k, g.k);
    });
    Gemm part = g;
    part.n = count;
    part.b = panel;
    part.b_type = DType::f32;
    part.ldb = g.k;
    part.c = static_cast<char*>(g.c) + begin * size_of(g.c_type);
    part.bias = g.bias != nullptr ? g.bias + begin : nullptr;
    gemm(part);
  }
}

void gather_of_blocks(const Gather& a) {
  parallel_for(a.rows, std::max<int64_t>(1, 4096 / a.width), [&](int64_t begin, int64_t end) {
    Gather part = a;
    part.rows = end - begin;
    part.ids = a.ids + begin;
    part.out = static_cast<char*>(a.out) + begin * a.width * size_of(a.out_type);
    reference().gather(part);
  });
}

void copy_of_blocks(const Copy& a) {
  if (a.rank < 2) return reference().copy(a);
  parallel_for(a.size[0], 1, [&](int64_t begin, int64_t end) {
    Copy part = a;
    part.size[0] = end - begin;
    part.x = static_cast<const char*>(a.x) + bytes_of(a.x_type, begin * a.x_stride[0]);
    part.y = static_cast<char*>(a.y) + bytes_of(a.y_type, begin * a.y_stride[0]);
    reference().copy(part);
  });
}

}  // namespace qkv::kernels::cpu_set
