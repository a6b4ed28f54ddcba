#include "qkv/generate/plan.h"

#include "qkv/core/error.h"
#include "qkv/generate/cache_type.h"
#include "qkv/generate/machine_rates.h"
#include "qkv/models/describe.h"
#include "qkv/tensor/device.h"

#include <algorithm>
#include <map>

namespace qkv {
namespace {

// Tokens of a prompt that an engine reads together.
constexpr int64_t most_together = 512;
// Memory that the measurements take, more than a processor's caches hold.
constexpr uint64_t most_measured = uint64_t{192} << 20;

// Query times keys and probabilities times values, of a query that sees so many positions, in all layers.
double attention_flops(const Spec& spec, double positions) {
  double flops = 0;
  for (int64_t i = 0; i < spec.layers(); ++i) {
    const BlockSpec& block = spec.stack.layer(spec.stack.varied.empty() ? 0 : i);
    if (!block.attends()) continue;
    const double window = block.attention.window > 0 ? static_cast<double>(block.attention.window) : positions;
    flops += 4 * static_cast<double>(block.attention.heads * block.attention.head_dim) * std::min(positions, window);
  }
  return flops;
}

double numbers_of(const PlannedWeight& w) { return static_cast<double>(w.rows) * static_cast<double>(w.columns); }

// Bytes that a product reads of a weight, also where it takes none of its own.
double product_bytes(const PlannedWeight& w) {
  if (w.place == PlannedWeight::Place::packed) return w.used * static_cast<double>(w.bytes);
  return w.used * numbers_of(w) * static_cast<double>(block_bytes(w.kept)) / static_cast<double>(block_length(w.kept));
}

}  // namespace

ModelPlan plan_model(const fs::path& model, const Spec& spec, const Use& use, uint64_t memory) {
  check_cache_type(spec, use.cache);
  ModelPlan plan;
  plan.parameters = describe(spec).parameters;
  plan.weights = planned_weights(model, spec, use);
  plan.weight_bytes = weight_bytes(plan.weights);
  plan.cache_bytes = cache_bytes(spec, use);
  plan.scratch_bytes = scratch_bytes(spec, use);
  plan.cache_bytes_of_position = cache_bytes_of_position(spec, use.compute, use.cache);
  plan.prompt = std::min(most_together, use.context);
  double flops = 0, head_flops = 0, bytes = 0, head_bytes = 0;
  for (const PlannedWeight& w : plan.weights) {
    (w.head ? head_flops : flops) += 2 * w.used * numbers_of(w);
    (w.head ? head_bytes : bytes) += product_bytes(w);
  }
  const auto context = static_cast<double>(use.context), prompt = static_cast<double>(plan.prompt);
  const double cache = spec.generates() ? plan.cache_bytes_of_position : 0;
  plan.token = {flops + head_flops + attention_flops(spec, context),
                (bytes + head_bytes) / static_cast<double>(use.sequences) + cache * context};
  // On the average a prompt's token sees half of it, and its keys and values are read with all the others'.
  plan.prompt_token = {flops + head_flops / prompt + attention_flops(spec, spec.causal() ? prompt / 2 : prompt),
                       (bytes + head_bytes) / prompt + cache};
  plan.memory = memory;
  if (!plan.fits())
    plan.advice = memory_advice(model, spec, use, plan.memory - std::min(plan.memory, plan.scratch_bytes));
  return plan;
}

Prediction predict(const ModelPlan& plan, const Spec& spec, const Use& use) {
  // Weights that are multiplied by alike, and the shape that most of their bytes have.
  struct Kind {
    double bytes = 0, head_bytes = 0, flops = 0, head_flops = 0, calls = 0;
    std::map<std::pair<int64_t, int64_t>, double> shapes;
  };
  std::map<std::pair<DType, bool>, Kind> kinds;
  for (const PlannedWeight& w : plan.weights) {
    if (w.used == 0) continue;
    Kind& kind = kinds[{w.kept, w.place == PlannedWeight::Place::packed}];
    (w.head ? kind.head_bytes : kind.bytes) += product_bytes(w);
    (w.head ? kind.head_flops : kind.flops) += 2 * w.used * numbers_of(w);
    kind.calls += 1;
    kind.shapes[{w.rows, w.columns}] += product_bytes(w);
  }
  const uint64_t working_set = std::min(most_measured, plan.weight_bytes);
  Prediction result;
  result.bandwidth = read_bandwidth(std::max<uint64_t>(working_set, 1 << 20));
  double step = 0, reading = 0;
  for (const auto& [how, kind] : kinds) {
    const auto most = std::max_element(kind.shapes.begin(), kind.shapes.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    const auto [rows, columns] = most->first;
    const ProductRate rate =
        product_rate(how.first, how.second, use.compute, rows, columns, use.sequences, plan.prompt, working_set);
    result.products.push_back({std::string(name_of(how.first)), rate.bytes_a_second, rate.flops_a_second});
    step += kind.calls * rate.seconds_a_call + (kind.bytes + kind.head_bytes) / rate.bytes_a_second;
    reading +=
        static_cast<double>(plan.prompt) * kind.flops / rate.flops_a_second + kind.head_bytes / rate.bytes_a_second;
  }
  const double overhead = step_overhead(spec, use.compute, use.sequences);
  if (spec.stack.block.attends()) {
    const AttentionSpec& a = spec.stack.block.attention;
    const DType cache = use.cache.value_or(use.compute);
    const auto layers = static_cast<double>(spec.layers());
    const uint64_t kept = std::min(most_measured, std::max<uint64_t>(plan.cache_bytes, 1));
    if (spec.generates())
      step += layers * attention_seconds(a, use.compute, cache, use.sequences, 1, use.context, kept);
    reading += layers * attention_seconds(a, use.compute, cache, 1, plan.prompt, plan.prompt, kept);
  }
  if (spec.generates()) {
    step += static_cast<double>(use.sequences) * choice_seconds(spec.vocab);
    result.tokens_a_second = static_cast<double>(use.sequences) / (step + overhead);
  }
  result.prompt_tokens_a_second = static_cast<double>(plan.prompt) / (reading + overhead);
  return result;
}

std::optional<Prediction> most_on_card(const ModelPlan& plan, const Use& use, const cuda::CardRates& rates) {
  const double flops = use.compute != DType::f32 ? rates.half : tf32() ? rates.tf32 : rates.f32;
  if (flops <= 0 || rates.bandwidth <= 0) return {};
  const auto rate = [&](const ModelPlan::Work& work) {
    const double seconds = std::max(work.flops / flops, work.bytes / rates.bandwidth);
    return seconds > 0 ? 1 / seconds : 0;
  };
  return Prediction{.bandwidth = rates.bandwidth,
                    .products = {{std::string(name_of(use.compute)), rates.bandwidth, flops}},
                    .tokens_a_second = rate(plan.token),
                    .prompt_tokens_a_second = rate(plan.prompt_token)};
}

}  // namespace qkv
