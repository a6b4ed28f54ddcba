#include "qkv/generate/machine_rates.h"

#include "qkv/core/clock.h"
#include "qkv/core/error.h"
#include "qkv/generate/choice.h"
#include "qkv/generate/generator.h"
#include "qkv/generate/sampling.h"
#include "qkv/models/family.h"
#include "qkv/ops/attention.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/check.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/packed.h"

#include <algorithm>
#include <functional>

namespace qkv {
namespace {

constexpr double long_enough = 0.08;  // seconds of each measurement

// The lower quartile: what else runs on the machine makes calls longer, never shorter.
double usual(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + std::ssize(values) / 4, values.end());
  return values[values.size() / 4];
}

// The usual time of a call of work(i), i = 0, 1, ..., after one uncounted round of `round` calls.
double seconds_of(int64_t round, const std::function<void(int64_t)>& work) {
  for (int64_t i = 0; i < round; ++i) work(i);
  std::vector<double> times;
  const auto start = Clock::now();
  for (int64_t i = 0; times.size() < 3 || i < round || seconds_since(start) < long_enough; ++i) {
    const auto before = Clock::now();
    work(i % round);
    times.push_back(seconds_since(before));
    if (seconds_since(start) > 10 * long_enough && times.size() >= 3) break;
  }
  return usual(std::move(times));
}

Tensor weight_of(DType type, bool pack, int64_t rows, int64_t columns) {
  if (type == DType::i8) return packed(Tensor::zeros({rows, columns}));
  const Tensor plain = Tensor::zeros({rows, columns}, type);
  return pack ? packed(plain) : plain;
}

int64_t copies(uint64_t working_set, double bytes) {
  return std::clamp<int64_t>(static_cast<int64_t>(static_cast<double>(working_set) / std::max(1.0, bytes)), 1, 1024);
}

}  // namespace

double read_bandwidth(uint64_t bytes) {
  const Tensor block = Tensor::zeros({static_cast<int64_t>(bytes / sizeof(float))});
  const kernels::L2NormPart whole{.count = block.numel(), .type = block.dtype(), .x = block.raw()};
  float norm = 0;
  return static_cast<double>(bytes) / seconds_of(1, [&](int64_t) { kernels_of(block).l2_norm({&whole, 1}, &norm); });
}

ProductRate product_rate(DType type, bool pack, DType compute, int64_t rows, int64_t columns, int64_t few, int64_t many,
                         uint64_t working_set) {
  const NoGrad no_grad;
  const auto input = [&](int64_t m, int64_t k) { return Tensor::zeros({m, k}, compute); };
  const auto bytes = static_cast<double>(pack ? kernels::kernels_for({}).packed_bytes(type, rows, columns, false)
                                              : bytes_of(type, rows * columns));
  ProductRate rate;
  const int64_t small = std::max<int64_t>(64, block_length(type));
  const Tensor tiny = weight_of(type, pack, 16, small), tiny_input = input(few, small);
  rate.seconds_a_call = seconds_of(100, [&](int64_t) { linear(tiny_input, tiny, {}); });
  std::vector<Tensor> weights;
  for (int64_t i = copies(working_set, bytes); i > 0; --i) weights.push_back(weight_of(type, pack, rows, columns));
  const Tensor x = input(few, columns);
  const double seconds =
      seconds_of(std::ssize(weights), [&](int64_t i) { linear(x, weights[static_cast<size_t>(i)], {}); });
  rate.bytes_a_second = bytes / std::max(1e-9, seconds - rate.seconds_a_call);
  const Tensor wide = input(many, columns);
  const double long_seconds = seconds_of(1, [&](int64_t) { linear(wide, weights[0], {}); });
  rate.flops_a_second = 2 * static_cast<double>(many * rows * columns) / long_seconds;
  return rate;
}

double attention_seconds(const AttentionSpec& spec, DType compute, DType cache, int64_t batch, int64_t queries,
                         int64_t keys, uint64_t working_set) {
  const NoGrad no_grad;
  const Tensor q = Tensor::zeros({batch, queries, spec.heads, spec.head_dim}, compute);
  const Shape shape{batch, keys, spec.kv_heads, spec.head_dim};
  const double bytes = 2 * static_cast<double>(bytes_of(cache, shape.numel()));
  std::vector<Tensor> layers;
  for (int64_t i = 2 * copies(working_set, bytes); i > 0; --i) layers.push_back(Tensor::zeros(shape, cache));
  const AttentionOptions options{.scale = 1, .causal = true, .window = spec.window, .softcap = spec.softcap};
  return seconds_of(std::ssize(layers) / 2, [&](int64_t i) {
    attention(q, layers[static_cast<size_t>(2 * i)], layers[static_cast<size_t>(2 * i + 1)], options);
  });
}

double choice_seconds(int64_t vocab) {
  const std::vector<float> logits(static_cast<size_t>(vocab), 0.5F);
  return seconds_of(1, [&](int64_t) { LogProbabilities(logits).of(argmax(logits)); });
}

double step_overhead(const Spec& spec, DType compute, int64_t batch) {
  constexpr int64_t steps = 16;
  const Family& family = family_named(spec.family, "plan");
  if (family.config == nullptr) return 0;
  try {
    const Sizes sizes{.vocab = 64, .context = 64, .layers = spec.layers(), .heads = 2, .width = 64, .feed_forward = 64};
    Model model(spec_of(Config(family.config(sizes), "plan")));
    model.initialise(RandomKey{1});
    Generator generator(model, compute);
    const std::vector<std::vector<int32_t>> prompts(static_cast<size_t>(batch), {1, 2, 3, 4});
    const GenerationOptions options{.max_new_tokens = steps + 1};
    const double seconds = seconds_of(1, [&](int64_t) { generator.generate(prompts, options); });
    return seconds / (steps + 1);
  } catch (const Error&) {
    return 0;  // the family has no model of such sizes
  }
}

}  // namespace qkv
