#include "qkv/core/random.h"
#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/spans.h"

namespace qkv::kernels::cuda_set {
namespace {

using Tensors = Spans<OptimizerTensor, 56, 16 * element_block>;

// What a step reads before its first element.
struct Now {
  StepNumbers numbers;
  float gradient_factor;
};

struct Values {
  float parameter, first, second;
};

template <bool vectors, typename Step>
__device__ inline void step_span(const OptimizerTensor& t, int64_t begin, int64_t end, const Step& step,
                                 const Now& now) {
  constexpr int n = vectors ? 4 : 1;
  for (int64_t i = begin + int64_t{threadIdx.x} * n; i < end; i += int64_t{element_block} * n) {
    Vector<float, n> p = load_vector<n>(t.parameter + i), first{}, second{};
    const Vector<float, n> g = load_vector<n>(t.gradient + i);
    if (t.first != nullptr) first = load_vector<n>(t.first + i);
    if constexpr (Step::has_second) second = load_vector<n>(t.second + i);
    Vector<bf16, n> half;
#pragma unroll
    for (int c = 0; c < n; ++c) {
      const Values next = step(t, now.numbers, {p.at[c], first.at[c], second.at[c]}, g.at[c] * now.gradient_factor);
      p.at[c] = next.parameter;
      first.at[c] = next.first;
      second.at[c] = next.second;
      half.at[c] = from_float<bf16>(next.parameter);
      if (t.rounding != 0)
        half.at[c].bits =
            bf16_at_random(next.parameter, dropout_hash(t.rounding ^ now.numbers.word, static_cast<uint32_t>(i + c)));
    }
    store_vector<n>(t.parameter + i, p);
    if (t.first != nullptr) store_vector<n>(t.first + i, first);
    if constexpr (Step::has_second) store_vector<n>(t.second + i, second);
    if (t.half != nullptr) store_vector<n>(t.half + i, half);
  }
}

template <typename Step>
__global__ void __launch_bounds__(element_block) step_tensors(const __grid_constant__ Tensors all, Step step) {
  if (step.a.clipping.skips()) return;
  const Now now{*step.a.now, step.a.clipping.factor()};
  const auto [t, begin, end] = all.of_block(static_cast<int64_t>(blockIdx.x));
  const auto aligned = [](const void* p, uintptr_t bytes) { return reinterpret_cast<uintptr_t>(p) % bytes == 0; };
  const bool vectors = aligned(t.parameter, 16) && aligned(t.gradient, 16) && aligned(t.first, 16) &&
                       aligned(t.second, 16) && aligned(t.half, 8);
  const int64_t whole = vectors ? begin + (end - begin) / 4 * 4 : begin;
  step_span<true>(t, begin, whole, step, now);
  step_span<false>(t, whole, end, step, now);
}

template <typename Step>
void step_all(const char* op, std::span<const OptimizerTensor> tensors, const Step& step) {
  for_spans<Tensors>(tensors, [&](const Tensors& some) {
    launch(op, step_tensors<Step>, Grid{some.blocks()}, element_block, 0, some, step);
  });
}

struct AdamWStep {
  AdamW a;
  static constexpr bool has_second = true;

  __device__ Values operator()(const OptimizerTensor&, const StepNumbers& now, const Values& x, float g) const {
    const float m = a.beta1 * x.first + (1 - a.beta1) * g;
    const float v = a.beta2 * x.second + (1 - a.beta2) * g * g;
    const float root = sqrtf(v / now.correction2) + a.eps;
    return {x.parameter * (1 - now.lr * a.weight_decay) - now.lr * (m / now.correction1) / root, m, v};
  }
};

struct LionStep {
  Lion a;
  static constexpr bool has_second = false;

  __device__ Values operator()(const OptimizerTensor&, const StepNumbers& now, const Values& x, float g) const {
    const float direction = a.beta1 * x.first + (1 - a.beta1) * g;
    const float sign = direction > 0 ? 1 : direction < 0 ? -1 : 0;
    return {x.parameter * (1 - now.lr * a.weight_decay) - now.lr * sign, a.beta2 * x.first + (1 - a.beta2) * g, 0};
  }
};

struct SgdStep {
  Sgd a;
  static constexpr bool has_second = false;

  __device__ Values operator()(const OptimizerTensor& t, const StepNumbers& now, const Values& x, float g) const {
    const float m = a.momentum * x.first + g;
    const float direction = t.first == nullptr ? g : a.nesterov ? g + a.momentum * m : m;
    return {x.parameter * (1 - now.lr * a.weight_decay) - now.lr * direction, m, 0};
  }
};

}  // namespace

void adamw(std::span<const OptimizerTensor> tensors, const AdamW& a) { step_all("adamw", tensors, AdamWStep{a}); }
void lion(std::span<const OptimizerTensor> tensors, const Lion& a) { step_all("lion", tensors, LionStep{a}); }
void sgd(std::span<const OptimizerTensor> tensors, const Sgd& a) { step_all("sgd", tensors, SgdStep{a}); }

}  // namespace qkv::kernels::cuda_set
