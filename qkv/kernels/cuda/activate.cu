#include "qkv/kernels/cuda/activations.h"
#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/elements.h"

namespace qkv::kernels::cuda_set {
namespace {

template <Activation kind>
struct Value {
  __device__ float operator()(int64_t, float x) const { return activation_value(kind, x); }
};
template <Activation kind>
struct Gradient {
  __device__ float operator()(int64_t, float x, float dy) const { return activation_slope(kind, x) * dy; }
};

// Rows of 2 width, gate before up, as they lie; a block takes rows in turn.
template <bool vectors, typename T, Activation kind>
__global__ void __launch_bounds__(element_block) gated_rows(Gated a) {
  const Part part{static_cast<int64_t>(threadIdx.x), blockDim.x};
  for (int64_t row = blockIdx.x; row < a.rows; row += gridDim.x) {
    const T* gate = static_cast<const T*>(a.x) + 2 * row * a.width;
    transform<vectors>(
        part, static_cast<T*>(a.y) + row * a.width, a.width,
        [](int64_t, float g, float up) { return activation_value(kind, g) * up; }, gate, gate + a.width);
  }
}

template <bool vectors, typename T, Activation kind>
__global__ void __launch_bounds__(element_block) gated_backward_rows(GatedBackward a) {
  constexpr int n = vectors ? vector_count<T> : 1;
  for (int64_t row = blockIdx.x; row < a.rows; row += gridDim.x) {
    const T* gate = static_cast<const T*>(a.x) + 2 * row * a.width;
    const T* dy = static_cast<const T*>(a.dy) + row * a.width;
    T* dgate = static_cast<T*>(a.dx) + 2 * row * a.width;
    for (int64_t j = int64_t{threadIdx.x} * n; j < a.width; j += int64_t{blockDim.x} * n) {
      const Vector<T, n> g = load_vector<n>(gate + j), up = load_vector<n>(gate + a.width + j),
                         d = load_vector<n>(dy + j);
      Vector<T, n> dg, dup;
#pragma unroll
      for (int i = 0; i < n; ++i) {
        const float x = to_float(g.at[i]), of_y = to_float(d.at[i]);
        dg.at[i] = from_float<T>(of_y * to_float(up.at[i]) * activation_slope(kind, x));
        dup.at[i] = from_float<T>(of_y * activation_value(kind, x));
      }
      store_vector<n>(dgate + j, dg);
      store_vector<n>(dgate + a.width + j, dup);
    }
  }
}

}  // namespace

void activate(const Activate& a) {
  with_type(a.type, [&]<typename T>(T) {
    with_activation(a.kind, [&](auto kind) {
      map("activate", static_cast<T*>(a.y), a.count, Value<kind.value>(), static_cast<const T*>(a.x));
    });
  });
}

void activate_backward(const ActivateBackward& a) {
  with_type(a.type, [&]<typename T>(T) {
    with_activation(a.kind, [&](auto kind) {
      map("activate_backward", static_cast<T*>(a.dx), a.count, Gradient<kind.value>(), static_cast<const T*>(a.x),
          static_cast<const T*>(a.dy));
    });
  });
}

void gated(const Gated& a) {
  const bool vectors = vectors_at(a.type, a.width, {a.x, a.y});
  const Grid grid{std::min(a.rows, most_element_blocks)};
  with_type(a.type, [&]<typename T>(T) {
    with_activation(a.kind, [&](auto kind) {
      launch("gated", vectors ? gated_rows<true, T, kind.value> : gated_rows<false, T, kind.value>, grid, element_block,
             0, a);
    });
  });
}

void gated_backward(const GatedBackward& a) {
  const bool vectors = vectors_at(a.type, a.width, {a.x, a.dy, a.dx});
  const Grid grid{std::min(a.rows, most_element_blocks)};
  with_type(a.type, [&]<typename T>(T) {
    with_activation(a.kind, [&](auto kind) {
      launch("gated_backward",
             vectors ? gated_backward_rows<true, T, kind.value> : gated_backward_rows<false, T, kind.value>, grid,
             element_block, 0, a);
    });
  });
}

}  // namespace qkv::kernels::cuda_set
