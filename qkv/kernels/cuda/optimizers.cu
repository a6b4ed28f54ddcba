#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/spans.h"

#include <cmath>

namespace qkv::kernels::cuda_set {
namespace {

using Tensors = Spans<OptimizerTensor, 64, 16 * element_block>;

struct Values {
  float parameter, first, second;
};

template <bool vectors, typename Step>
__device__ inline void step_span(const OptimizerTensor& t, int64_t begin, int64_t end, const Step& step) {
  constexpr int n = vectors ? 4 : 1;
  for (int64_t i = begin + int64_t{threadIdx.x} * n; i < end; i += int64_t{element_block} * n) {
    Vector<float, n> p = load_vector<n>(t.parameter + i), first{}, second{};
    const Vector<float, n> g = load_vector<n>(t.gradient + i);
    if (t.first != nullptr) first = load_vector<n>(t.first + i);
    if constexpr (Step::has_second) second = load_vector<n>(t.second + i);
    Vector<bf16, n> half;
#pragma unroll
    for (int c = 0; c < n; ++c) {
      const Values next = step(t, {p.at[c], first.at[c], second.at[c]}, g.at[c] * step.a.gradient_scale);
      p.at[c] = next.parameter;
      first.at[c] = next.first;
      second.at[c] = next.second;
      half.at[c] = from_float<bf16>(next.parameter);
    }
    store_vector<n>(t.parameter + i, p);
    if (t.first != nullptr) store_vector<n>(t.first + i, first);
    if constexpr (Step::has_second) store_vector<n>(t.second + i, second);
    if (t.half != nullptr) store_vector<n>(t.half + i, half);
  }
}

template <typename Step>
__global__ void __launch_bounds__(element_block) step_tensors(const __grid_constant__ Tensors all, Step step) {
  const auto [t, begin, end] = all.of_block(static_cast<int64_t>(blockIdx.x));
  const auto aligned = [](const void* p, uintptr_t bytes) { return reinterpret_cast<uintptr_t>(p) % bytes == 0; };
  const bool vectors = aligned(t.parameter, 16) && aligned(t.gradient, 16) && aligned(t.first, 16) &&
                       aligned(t.second, 16) && aligned(t.half, 8);
  const int64_t whole = vectors ? begin + (end - begin) / 4 * 4 : begin;
  step_span<true>(t, begin, whole, step);
  step_span<false>(t, whole, end, step);
}

template <typename Step>
void step_all(const char* op, std::span<const OptimizerTensor> tensors, const Step& step) {
  for_spans<Tensors>(tensors, [&](const Tensors& some) {
    launch(op, step_tensors<Step>, Grid{some.blocks()}, element_block, 0, some, step);
  });
}

struct AdamWStep {
  AdamW a;
  float correction1, correction2;
  static constexpr bool has_second = true;

  __device__ Values operator()(const OptimizerTensor&, const Values& x, float g) const {
    const float m = a.beta1 * x.first + (1 - a.beta1) * g;
    const float v = a.beta2 * x.second + (1 - a.beta2) * g * g;
    return {x.parameter * (1 - a.lr * a.weight_decay) - a.lr * (m / correction1) / (sqrtf(v / correction2) + a.eps), m,
            v};
  }
};

struct LionStep {
  Lion a;
  static constexpr bool has_second = false;

  __device__ Values operator()(const OptimizerTensor&, const Values& x, float g) const {
    const float direction = a.beta1 * x.first + (1 - a.beta1) * g;
    const float sign = direction > 0 ? 1 : direction < 0 ? -1 : 0;
    return {x.parameter * (1 - a.lr * a.weight_decay) - a.lr * sign, a.beta2 * x.first + (1 - a.beta2) * g, 0};
  }
};

struct SgdStep {
  Sgd a;
  static constexpr bool has_second = false;

  __device__ Values operator()(const OptimizerTensor& t, const Values& x, float g) const {
    const float m = a.momentum * x.first + g;
    const float direction = t.first == nullptr ? g : a.nesterov ? g + a.momentum * m : m;
    return {x.parameter * (1 - a.lr * a.weight_decay) - a.lr * direction, m, 0};
  }
};

}  // namespace

void adamw(std::span<const OptimizerTensor> tensors, const AdamW& a) {
  const auto correction = [&](float beta) {
    return static_cast<float>(1 - std::pow(static_cast<double>(beta), static_cast<double>(a.step)));
  };
  step_all("adamw", tensors, AdamWStep{a, correction(a.beta1), correction(a.beta2)});
}
void lion(std::span<const OptimizerTensor> tensors, const Lion& a) { step_all("lion", tensors, LionStep{a}); }
void sgd(std::span<const OptimizerTensor> tensors, const Sgd& a) { step_all("sgd", tensors, SgdStep{a}); }

}  // namespace qkv::kernels::cuda_set
