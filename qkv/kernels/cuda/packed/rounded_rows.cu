#include "qkv/kernels/cuda/packed/rounded_rows.h"

#include "qkv/kernels/cuda/elements.h"
#include "qkv/kernels/cuda/packed/weights.h"
#include "qkv/kernels/cuda/reduce.h"

namespace qkv::kernels {
namespace {

// A lane's integer of a group, and with it the group's scale and sums.
__device__ inline void store_group(const Rounded& to, int64_t group, int lane, float x, float most) {
  const float inverse = most > 0 ? 127 / most : 0;
  const int code = static_cast<int>(rintf(x * inverse));
  to.codes[group * 32 + lane] = static_cast<int8_t>(code);
  int sum = code;
#pragma unroll
  for (int step = 8; step > 0; step /= 2) sum += __shfl_xor_sync(whole_warp, sum, step);
  if (lane % 16 == 0) to.sums[2 * group + lane / 16] = sum;
  if (lane == 0) to.scales[group] = most / 127;
}

// The groups of one of the weight's blocks have one scale; a warp takes them.
template <typename T, int groups_of_block>
__global__ void __launch_bounds__(element_block) round_blocks(PackedGemm g, Rounded to) {
  const Part part = part_of_grid();
  const int lane = static_cast<int>(threadIdx.x) % warp_threads;
  const int64_t blocks = to.groups / groups_of_block;  // of a row
  for (int64_t block = part.own / warp_threads; block < g.m * blocks; block += part.step / warp_threads) {
    const T* a = static_cast<const T*>(g.a) + block / blocks * g.lda + block % blocks * groups_of_block * 32;
    float x[groups_of_block], most = 0;
#pragma unroll
    for (int i = 0; i < groups_of_block; ++i) {
      x[i] = to_float(a[32 * i + lane]);
      most = fmaxf(most, fabsf(x[i]));
    }
    most = reduce_warp(most, Largest());
#pragma unroll
    for (int i = 0; i < groups_of_block; ++i) store_group(to, block * groups_of_block + i, lane, x[i], most);
  }
}

constexpr int64_t rows_of_search = 32;

// Marks the columns that hold an outlier, in some of the rows. Blocks may mark the same column alike.
template <typename T>
__global__ void __launch_bounds__(element_block) mark_outliers(PackedGemm g, const float* outlier, int32_t* marks) {
  const int64_t p = static_cast<int64_t>(blockIdx.y) * element_block + threadIdx.x;
  if (p >= g.k || !(*outlier > 0)) return;
  const int64_t begin = blockIdx.x * rows_of_search;
  const int64_t end = begin + rows_of_search < g.m ? begin + rows_of_search : g.m;
  bool found = false;
  for (int64_t i = begin; i < end; ++i)
    found = found || fabsf(to_float(static_cast<const T*>(g.a)[i * g.lda + p])) > *outlier;
  if (found) marks[p] = 1;
}

// The marked columns in order, by one block.
__global__ void __launch_bounds__(element_block) list_marked(const int32_t* marks, int64_t k, Rounded to) {
  constexpr int warps = element_block / warp_threads;
  __shared__ int counts[warps];
  const int thread = static_cast<int>(threadIdx.x), warp = thread / warp_threads, lane = thread % warp_threads;
  int listed = 0;
  for (int64_t begin = 0; begin < k; begin += element_block) {
    const bool marked = begin + thread < k && marks[begin + thread] != 0;
    const unsigned lanes = __ballot_sync(whole_warp, marked);
    if (lane == 0) counts[warp] = __popc(lanes);
    __syncthreads();
    int before = listed;
    for (int w = 0; w < warps; ++w) {
      before += w < warp ? counts[w] : 0;
      listed += counts[w];
    }
    if (marked) to.apart[before + __popc(lanes & ((1U << lane) - 1))] = static_cast<int32_t>(begin + thread);
    __syncthreads();
  }
  if (thread == 0) *to.apart_count = listed;
}

// One scale a row, which a block takes; marked columns are left out.
template <typename T>
__global__ void __launch_bounds__(element_block) round_rows(PackedGemm g, const int32_t* marks, Rounded to) {
  const int64_t row = blockIdx.x;
  const T* a = static_cast<const T*>(g.a) + row * g.lda;
  const auto kept = [&](int64_t p) { return p < g.k && marks[p] == 0 ? to_float(a[p]) : 0.0F; };
  float own = 0;
  for (int64_t p = threadIdx.x; p < g.k; p += element_block) own = fmaxf(own, fabsf(kept(p)));
  const float most = reduce<element_block>(own, Largest());
  const int lane = static_cast<int>(threadIdx.x) % warp_threads;
  for (int64_t group = threadIdx.x / warp_threads; group < to.groups; group += element_block / warp_threads)
    store_group(to, row * to.groups + group, lane, kept(group * 32 + lane), most);
}

}  // namespace

RoundedRows::RoundedRows(const PackedGemm& g)
    : codes_(g.m * whole_groups(g.k)),
      scales_(g.m * whole_groups(g.k) / 32),
      sums_(g.m * whole_groups(g.k) / 16),
      apart_(g.type == DType::i8 ? 2 * g.k + 1 : 0) {
  view_ = {whole_groups(g.k) / 32, codes_.data(), scales_.data(), sums_.data()};
  if (g.type != DType::i8) {
    const bool large = block_length(g.type) != 32;
    const int64_t blocks = g.m * g.k / block_length(g.type);
    with_type(g.a_type, [&]<typename T>(T) {
      launch("packed_gemm", large ? round_blocks<T, 8> : round_blocks<T, 1>, grid_for(blocks * warp_threads),
             element_block, 0, g, view_);
    });
    return;
  }
  int32_t* const marks = apart_.data() + g.k;
  view_.apart = apart_.data();
  view_.apart_count = marks + g.k;
  cuda::fill_bytes(marks, 0, static_cast<size_t>(g.k) * sizeof(int32_t));
  const float* outlier = IntegerParts(const_cast<void*>(g.packed), g.n).outlier;
  with_type(g.a_type, [&]<typename T>(T) {
    launch("packed_gemm", mark_outliers<T>,
           Grid{(g.m + rows_of_search - 1) / rows_of_search, (g.k + element_block - 1) / element_block}, element_block,
           0, g, outlier, marks);
    launch("packed_gemm", list_marked, Grid{1}, element_block, 0, marks, g.k, view_);
    launch("packed_gemm", round_rows<T>, Grid{g.m}, element_block, 0, g, marks, view_);
  });
}

}  // namespace qkv::kernels
