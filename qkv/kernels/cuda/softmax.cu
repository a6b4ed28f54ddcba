#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/rows.h"
#include "qkv/kernels/cuda/sum_exp.h"

namespace qkv::kernels::cuda_set {
namespace {

template <typename T, int team, bool vectors>
__global__ void __launch_bounds__(row_block) softmax_rows(Softmax a) {
  const int64_t row = own_row<team>();
  if (row >= a.rows) return;
  const T* x = static_cast<const T*>(a.x) + row * a.width;
  T* y = static_cast<T*>(a.y) + row * a.width;
  SumExp own;
  for_each<vectors>(
      part_of_row<team>(), a.width, [&](int64_t, float value) { own.add(value); }, x);
  const SumExp all = reduce<team>(own);
  if (a.log) {
    const float shift = all.most + logf(all.sum);
    transform<vectors>(
        part_of_row<team>(), y, a.width, [&](int64_t, float value) { return value - shift; }, x);
  } else {
    const float inverse = 1 / all.sum;
    transform<vectors>(
        part_of_row<team>(), y, a.width, [&](int64_t, float value) { return expf(value - all.most) * inverse; }, x);
  }
}

template <typename T, int team, bool vectors>
__global__ void __launch_bounds__(row_block) softmax_backward_rows(SoftmaxBackward a) {
  const int64_t row = own_row<team>();
  if (row >= a.rows) return;
  const T* y = static_cast<const T*>(a.y) + row * a.width;
  const T* dy = static_cast<const T*>(a.dy) + row * a.width;
  T* dx = static_cast<T*>(a.dx) + row * a.width;
  float own = 0;
  for_each<vectors>(
      part_of_row<team>(), a.width, [&](int64_t, float p, float d) { own += a.log ? d : d * p; }, y, dy);
  const float sum = reduce<team>(own, Add());
  transform<vectors>(
      part_of_row<team>(), dx, a.width,
      [&](int64_t, float p, float d) { return a.log ? d - expf(p) * sum : p * (d - sum); }, y, dy);
}

}  // namespace

void softmax(const Softmax& a) {
  with_rows(a.type, a.rows, a.width, vectors_at(a.type, a.width, {a.x, a.y}),
            [&](auto type, auto team, auto vectors, Grid grid) {
              launch("softmax", softmax_rows<decltype(type), team, vectors>, grid, row_block, 0, a);
            });
}

void softmax_backward(const SoftmaxBackward& a) {
  with_rows(a.type, a.rows, a.width, vectors_at(a.type, a.width, {a.y, a.dy, a.dx}),
            [&](auto type, auto team, auto vectors, Grid grid) {
              launch("softmax_backward", softmax_backward_rows<decltype(type), team, vectors>, grid, row_block, 0, a);
            });
}

}  // namespace qkv::kernels::cuda_set
