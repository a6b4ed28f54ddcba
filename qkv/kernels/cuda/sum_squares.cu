#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/elements.h"
#include "qkv/kernels/cuda/reduce.h"
#include "qkv/kernels/cuda/scratch.h"

namespace qkv::kernels::cuda_set {
namespace {

// As many arrays as a kernel's arguments hold: one launch goes through them.
struct Squared {
  static constexpr int most = 96;
  static constexpr int64_t span = 128 * element_block;  // elements a block
  SumSquares array[most];
  int64_t end[most];  // blocks of this array and those before it
  int count = 0;
  int64_t blocks() const { return count > 0 ? end[count - 1] : 0; }
};
static_assert(sizeof(Squared) < 4000);

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
  int which = 0;
  while (all.end[which] <= static_cast<int64_t>(blockIdx.x)) ++which;
  const SumSquares& a = all.array[which];
  const int64_t begin = (static_cast<int64_t>(blockIdx.x) - (which > 0 ? all.end[which - 1] : 0)) * Squared::span;
  const int64_t count = a.count - begin < Squared::span ? a.count - begin : Squared::span;
  double own = 0;
  if (a.type == DType::bf16) {
    own = squares_of(static_cast<const bf16*>(a.x) + begin, count);
  } else if (a.type == DType::f16) {
    own = squares_of(static_cast<const f16*>(a.x) + begin, count);
  } else {
    own = squares_of(static_cast<const float*>(a.x) + begin, count);
  }
  const double sum = reduce<element_block>(own, Add());
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(element_block) sum_of(const double* sums, int64_t count, double* out) {
  double own = 0;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) own += sums[i];
  const double sum = reduce<element_block>(own, Add());
  if (threadIdx.x == 0) *out = sum;
}

int64_t spans_of(const SumSquares& a) { return (a.count + Squared::span - 1) / Squared::span; }

}  // namespace

double sum_squares(std::span<const SumSquares> arrays) {
  int64_t blocks = 0;
  for (const SumSquares& a : arrays) blocks += spans_of(a);
  if (blocks == 0) return 0;
  const Scratch<double> sums(blocks + 1);
  int64_t done = 0;
  Squared some;
  const auto start = [&] {
    launch("sum_squares", square_spans, Grid{some.blocks()}, element_block, 0, some, sums.data() + done);
    done += some.blocks();
    some.count = 0;
  };
  for (const SumSquares& a : arrays) {
    if (a.count == 0) continue;
    some.end[some.count] = some.blocks() + spans_of(a);
    some.array[some.count] = a;
    if (++some.count == Squared::most) start();
  }
  start();
  double* const result = sums.data() + blocks;
  launch("sum_squares", sum_of, Grid{1}, element_block, 0, sums.data(), blocks, result);
  double sum = 0;
  cuda::copy_to_host(&sum, result, sizeof sum);
  return sum;
}

}  // namespace qkv::kernels::cuda_set
