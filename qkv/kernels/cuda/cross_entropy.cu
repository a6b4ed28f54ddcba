#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/rows.h"
#include "qkv/kernels/cuda/sum_exp.h"

namespace qkv::kernels::cuda_set {
namespace {

template <typename T, int team, bool vectors>
__global__ void __launch_bounds__(row_block) cross_entropy_rows(CrossEntropy a) {
  const int64_t row = own_row<team>();
  if (row >= a.rows) return;
  const Part part = part_of_row<team>();
  const T* x = static_cast<const T*>(a.logits) + row * a.ld;
  T* dx = a.dlogits == nullptr ? nullptr : static_cast<T*>(a.dlogits) + row * a.ld;
  const int64_t target = a.targets[row];
  if (target < 0 || target >= a.vocab) {
    if (part.own == 0) a.loss[row] = 0;
    if (dx != nullptr) transform<vectors>(part, dx, a.vocab, [](int64_t) { return 0.0F; });
    return;
  }
  SumExp own;
  float total = 0;
  for_each<vectors>(
      part, a.vocab,
      [&](int64_t, float value) {
        own.add(value);
        total += value;
      },
      x);
  const SumExp all = reduce<team>(own);
  const float of_target = to_float(x[target]);
  if constexpr (team == warp_threads) __syncwarp();  // the row becomes its gradient after all have read
  const float n = static_cast<float>(a.vocab);
  const float mean = reduce<team>(total, Add()) / n;
  const float log_sum = all.most + logf(all.sum);
  if (part.own == 0) a.loss[row] = (1 - a.smoothing) * (log_sum - of_target) + a.smoothing * (log_sum - mean);
  if (dx == nullptr) return;
  const float inverse = a.scale / all.sum, each = a.scale * a.smoothing / n, right = a.scale * (1 - a.smoothing);
  transform<vectors>(
      part, dx, a.vocab,
      [&](int64_t j, float value) { return expf(value - all.most) * inverse - each - (j == target ? right : 0); }, x);
}

}  // namespace

void cross_entropy(const CrossEntropy& a) {
  with_rows(a.type, a.rows, a.vocab, vectors_at(a.type, a.ld, {a.logits, a.dlogits}),
            [&](auto type, auto team, auto vectors, Grid grid) {
              launch("cross_entropy", cross_entropy_rows<decltype(type), team.value, vectors.value>, grid, row_block, 0,
                     a);
            });
}

}  // namespace qkv::kernels::cuda_set
