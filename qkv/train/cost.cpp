#include "qkv/train/cost.h"

#include "qkv/cuda/card_rates.h"
#include "qkv/kernels/kernels.h"
#include "qkv/tensor/device.h"

#include <algorithm>
#include <chrono>
#include <string>

namespace qkv {

double scored_part(double labelled) { return labelled < 0.5 ? labelled : 1; }

TrainingCost training_cost(Model& model, int64_t rows, int64_t length, DType compute, int moments, bool checkpoint,
                           double scored) {
  const Spec& spec = model.spec();
  TrainingCost cost;
  double used = 0;  // weights that multiply every token
  model.visit([&](const std::string& name, Tensor& value, Role role) {
    cost.parameters += value.numel();
    const auto numbers = static_cast<double>(value.numel());
    if (role == Role::matrix || role == Role::residual_matrix)
      used += numbers * (name.starts_with("heads.") ? scored : 1);
    if (name == "embeddings.token" && spec.heads.tied && spec.heads.language_model) used += numbers * scored;
  });
  const double layers = static_cast<double>(spec.layers());
  const double width = static_cast<double>(spec.width());
  const double T = static_cast<double>(length);
  const double scores = spec.stack.block.attends() ? (spec.causal() ? 6 : 12) * layers * T * width : 0;
  cost.flops_per_token = 6 * used + scores;
  const double half = compute == DType::bf16 ? 2 : 0;
  cost.state_bytes = static_cast<double>(cost.parameters) * (4.0 + 4.0 + 4.0 * moments + half);
  // Kept by a block: two normed inputs, the fused projection, attention's result, two sums, and the feed-forward's two.
  const double ff =
      static_cast<double>(model.spec().stack.block.feed_forward.width) * (spec.stack.block.feed_forward.gated ? 3 : 2);
  const double per_layer = checkpoint ? width : 8 * width + ff;
  const double tokens = static_cast<double>(rows) * T;
  const double logits =
      std::min(128.0 * (1 << 20), tokens * static_cast<double>(spec.vocab) * static_cast<double>(size_of(compute)));
  cost.activation_bytes =
      tokens * static_cast<double>(size_of(compute)) * (per_layer * layers + 8 * width + ff) + logits;
  return cost;
}

double measured_peak(DType compute) {
  constexpr int64_t n = 1024;
  const Tensor a = Tensor::zeros({n, n}, compute);
  const Tensor b = Tensor::zeros({n, n}, compute);
  const Tensor c = Tensor::empty({n, n}, compute);
  const kernels::KernelSet& kernel = kernels::kernels_for({});
  double best = 0;
  for (int i = 0; i < 25; ++i) {
    const auto start = std::chrono::steady_clock::now();
    kernel.gemm({.m = n,
                 .n = n,
                 .k = n,
                 .a = a.raw(),
                 .a_type = compute,
                 .lda = n,
                 .b = b.raw(),
                 .b_type = compute,
                 .ldb = n,
                 .b_transposed = true,
                 .c = c.raw(),
                 .c_type = compute,
                 .ldc = n});
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, 2.0 * n * n * n / seconds);
  }
  return best;
}

double peak_of(Device device, DType compute) {
  if (device.type == Device::Type::cpu) return measured_peak(compute);
  const cuda::CardRates rates = cuda::card_rates(cuda::devices()[static_cast<size_t>(device.index)]);
  if (compute != DType::f32) return rates.half;
  return tf32() ? rates.tf32 : rates.f32;
}

}  // namespace qkv
