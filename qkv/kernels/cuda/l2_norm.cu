#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/reduce.h"
#include "qkv/kernels/cuda/scratch.h"
#include "qkv/kernels/cuda/spans.h"

namespace qkv::kernels::cuda_set {
namespace {

using Squared = Spans<L2NormPart, 96, 128 * element_block>;

template <typename T>
__device__ inline double squares_of(const T* x, int64_t count) {
  double own = 0;
  const auto add = [&](int64_t, float value) { own += static_cast<double>(value) * value; };
  const Part part{static_cast<int64_t>(threadIdx.x), element_block};
  if (reinterpret_cast<uintptr_t>(x) % 16 == 0) {
    for_each<true>(part, count, add, x);
  } else {
    for_each<false>(part, count, add, x);
  }
  return own;
}

// One sum a block.
__global__ void __launch_bounds__(element_block) square_spans(const __grid_constant__ Squared all, double* sums) {
  const auto [a, begin, end] = all.of_block(static_cast<int64_t>(blockIdx.x));
  double own = 0;
  if (a.type == DType::bf16) {
    own = squares_of(static_cast<const bf16*>(a.x) + begin, end - begin);
  } else if (a.type == DType::f16) {
    own = squares_of(static_cast<const f16*>(a.x) + begin, end - begin);
  } else {
    own = squares_of(static_cast<const float*>(a.x) + begin, end - begin);
  }
  const double sum = reduce<element_block>(own, Add());
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(element_block) root_of_sum(const double* sums, int64_t count, float* out) {
  double own = 0;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) own += sums[i];
  const double sum = reduce<element_block>(own, Add());
  if (threadIdx.x == 0) *out = static_cast<float>(sqrt(sum));
}

}  // namespace

void l2_norm(std::span<const L2NormPart> parts, float* norm) {
  int64_t blocks = 0;
  for (const L2NormPart& part : parts) blocks += Squared::spans_of(part);
  const Scratch<double> sums(std::max<int64_t>(1, blocks));
  int64_t done = 0;
  for_spans<Squared>(parts, [&](const Squared& some) {
    launch("l2_norm", square_spans, Grid{some.blocks()}, element_block, 0, some, sums.data() + done);
    done += some.blocks();
  });
  launch("l2_norm", root_of_sum, Grid{1}, element_block, 0, sums.data(), blocks, norm);
}

}  // namespace qkv::kernels::cuda_set
