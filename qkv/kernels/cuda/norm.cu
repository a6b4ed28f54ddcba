#include "qkv/kernels/cuda/column_sums.h"
#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/rows.h"
#include "qkv/kernels/cuda/scratch.h"

namespace qkv::kernels::cuda_set {
namespace {

template <typename T, int team, bool vectors, NormKind kind>
__global__ void __launch_bounds__(row_block) norm_rows(Norm a) {
  const int64_t row = own_row<team>();
  if (row >= a.rows) return;
  const Part part = part_of_row<team>();
  const float n = static_cast<float>(a.width);
  const T* s = static_cast<const T*>(a.x) + row * a.width;
  if (a.residual != nullptr) {
    T* sum = static_cast<T*>(a.sum) + row * a.width;
    transform<vectors>(
        part, sum, a.width, [](int64_t, float x, float r) { return x + r; }, s,
        static_cast<const T*>(a.residual) + row * a.width);
    s = sum;
  }
  float mean = 0;
  if constexpr (kind == NormKind::layer) {
    for_each<vectors>(
        part, a.width, [&](int64_t, float x) { mean += x; }, s);
    mean = reduce<team>(mean, Add()) / n;
  }
  float square = 0;
  for_each<vectors>(
      part, a.width, [&](int64_t, float x) { square += (x - mean) * (x - mean); }, s);
  const float rstd = 1 / sqrtf(reduce<team>(square, Add()) / n + a.eps);
  T* y = static_cast<T*>(a.y) + row * a.width;
  if (a.bias != nullptr) {
    transform<vectors>(
        part, y, a.width, [&](int64_t, float x, float w, float b) { return (x - mean) * rstd * w + b; }, s, a.weight,
        a.bias);
  } else {
    transform<vectors>(
        part, y, a.width, [&](int64_t, float x, float w) { return (x - mean) * rstd * w; }, s, a.weight);
  }
  if (part.own != 0) return;
  if (a.mean != nullptr) a.mean[row] = mean;
  if (a.rstd != nullptr) a.rstd[row] = rstd;
}

constexpr int64_t most_groups = 256;
constexpr size_t most_shared = 96 << 10;  // bytes; every card of compute capability 8.0 and up has them

// Every team goes through rows of its own and sums dy and dy normal for its columns, which are then added over the
// teams of a block. Sums lie in shared memory where they fit, else where the block's partial sums will be.
template <typename T, int team, bool vectors, NormKind kind>
__global__ void __launch_bounds__(row_block) norm_backward_rows(NormBackward a, float* partials, bool shared) {
  constexpr int teams = row_block / team;
  const Part part = part_of_row<team>();
  const int own_team = static_cast<int>(threadIdx.x) / team;
  const float n = static_cast<float>(a.width);
  float* const out = partials + 2 * a.width * blockIdx.x;
  float* const sums = shared ? dynamic_shared<float>() : out;
  float* const dweight = sums + 2 * a.width * own_team;
  float* const dbias = dweight + a.width;
  // Neighbours of a vector lie apart, so that the lanes of a warp meet different banks.
  constexpr int apart = vectors ? vector_count<T> : 1;
  const int64_t step = a.width / apart;
  const auto place = [&](int64_t j) { return shared ? j % apart * step + j / apart : j; };
  for (int64_t j = part.own; j < 2 * a.width; j += part.step) dweight[j] = 0;  // and dbias
  __syncthreads();
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * teams + own_team; row < a.rows;
       row += static_cast<int64_t>(gridDim.x) * teams) {
    const T* s = static_cast<const T*>(a.s) + row * a.width;
    const T* dy = static_cast<const T*>(a.dy) + row * a.width;
    T* ds = static_cast<T*>(a.ds) + row * a.width;
    const float mean = kind == NormKind::layer ? a.mean[row] : 0, rstd = a.rstd[row];
    float sum = 0, dot = 0;
    for_each<vectors>(
        part, a.width,
        [&](int64_t j, float d, float x, float w) {
          const float normal = (x - mean) * rstd;
          sum += d * w;
          dot += d * w * normal;
          dweight[place(j)] += d * normal;
          dbias[place(j)] += d;
        },
        dy, s, a.weight);
    const float mean_sum = kind == NormKind::layer ? reduce<team>(sum, Add()) / n : 0;
    const float mean_dot = reduce<team>(dot, Add()) / n;
    const auto slope = [&](float d, float x, float w) {
      return rstd * (d * w - mean_sum - (x - mean) * rstd * mean_dot);
    };
    if (a.dsum != nullptr) {
      transform<vectors>(
          part, ds, a.width, [&](int64_t, float d, float x, float w, float more) { return slope(d, x, w) + more; }, dy,
          s, a.weight, static_cast<const T*>(a.dsum) + row * a.width);
    } else {
      transform<vectors>(
          part, ds, a.width, [&](int64_t, float d, float x, float w) { return slope(d, x, w); }, dy, s, a.weight);
    }
  }
  if (!shared) return;
  __syncthreads();
  for (int64_t j = threadIdx.x; j < a.width; j += row_block) {
    float of_weight = 0, of_bias = 0;
    for (int t = 0; t < teams; ++t) {
      of_weight += sums[2 * a.width * t + place(j)];
      of_bias += sums[2 * a.width * t + a.width + place(j)];
    }
    out[j] = of_weight;
    out[a.width + j] = of_bias;
  }
}

// Calls start(kind) with the kind as a constant.
template <typename Start>
void with_kind(NormKind kind, Start&& start) {
  if (kind == NormKind::layer) {
    start(std::integral_constant<NormKind, NormKind::layer>());
  } else {
    start(std::integral_constant<NormKind, NormKind::rms>());
  }
}

}  // namespace

void norm(const Norm& a) {
  const bool aligned = vectors_at(a.type, a.width, {a.x, a.residual, a.sum, a.y, a.weight, a.bias});
  with_kind(a.kind, [&](auto kind) {
    with_rows(a.type, a.rows, a.width, aligned, [&](auto type, auto team, auto vectors, Grid grid) {
      launch("norm", norm_rows<decltype(type), team.value, vectors.value, kind.value>, grid, row_block, 0, a);
    });
  });
}

void norm_backward(const NormBackward& a) {
  const bool aligned = vectors_at(a.type, a.width, {a.s, a.dy, a.dsum, a.ds, a.weight});
  const Scratch<float> partials(most_groups * 2 * a.width);
  int64_t groups = 0;
  with_kind(a.kind, [&](auto kind) {
    with_rows(a.type, a.rows, a.width, aligned, [&](auto type, auto team, auto vectors, Grid grid) {
      groups = std::clamp(grid.x, int64_t{1}, most_groups);
      const size_t bytes = static_cast<size_t>(row_block / team.value * 2 * a.width) * sizeof(float);
      const bool shared = bytes <= most_shared;
      launch("norm_backward", norm_backward_rows<decltype(type), team.value, vectors.value, kind.value>, Grid{groups},
             row_block, shared ? bytes : 0, a, partials.data(), shared);
    });
  });
  const int64_t ld = 2 * a.width;
  if (a.dweight != nullptr)
    add_partial_sums("norm_backward", {partials.data(), groups, ld}, a.width, a.dweight, a.accumulate);
  if (a.dbias != nullptr)
    add_partial_sums("norm_backward", {partials.data() + a.width, groups, ld}, a.width, a.dbias, a.accumulate);
}

}  // namespace qkv::kernels::cuda_set
