#include "tools/support/bench_model.h"

#include "qkv/core/error.h"
#include "qkv/generate/generator.h"
#include "qkv/io/hugging_face.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/cross_entropy.h"
#include "qkv/train/training_step.h"

#include <algorithm>
#include <chrono>
#include <limits>

namespace qkv {
namespace {

std::vector<std::vector<int32_t>> read_sources(const std::string& path) {
  const Json json = read_json(path);
  const auto all = [](const Json& list, auto&& test) {
    return list.is_array() && !list.empty() && std::all_of(list.begin(), list.end(), test);
  };
  const auto is_id = [](const Json& id) {
    return id.is_number_unsigned() && id.get<uint64_t>() <= std::numeric_limits<int32_t>::max();
  };
  if (!all(json, [&](const Json& row) { return all(row, is_id); })) throw Error(path, "is no list of lists of ids");
  return json.get<std::vector<std::vector<int32_t>>>();
}

}  // namespace

std::vector<double> times_of(int64_t repeat, int64_t uncounted, const std::function<void()>& work) {
  std::vector<double> times;
  for (int64_t i = 0; i < repeat + uncounted; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    if (i >= uncounted) times.push_back(taken.count());
  }
  return times;
}

Inputs random_inputs(const Spec& spec, int64_t rows, int64_t length, int64_t target_length) {
  const bool writes = spec.task == Task::sequence_to_sequence;
  Random random(RandomKey{1, 2});
  const auto drawn = [&](int64_t vocab, int64_t columns, uint64_t percent) {
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < rows * columns; ++i) {
      const bool kept = percent == 100 || random.below(100) < percent;
      ids.push_back(kept ? static_cast<int32_t>(random.below(static_cast<uint64_t>(vocab))) : ignored_target);
    }
    return Tensor::from<int32_t>({rows, columns}, ids);
  };
  Inputs inputs;
  inputs.input_ids = drawn(spec.encoder ? spec.encoder->vocab : spec.vocab, length, 100);
  inputs.labels = drawn(spec.vocab, writes ? target_length : length, writes || spec.causal() ? 100 : 15);
  return inputs;
}

Json time_model(const ModelTimes& wanted) {
  const LoadedModel loaded = load_model(wanted.directory);
  Model& model = *loaded.model;
  const Task task = model.spec().task;
  if (task != Task::sequence_to_sequence && task != Task::causal_lm && task != Task::masked_lm)
    throw Error(wanted.directory, "has no head that predicts tokens");
  const Inputs inputs = random_inputs(model.spec(), wanted.batch, wanted.length, wanted.target_length);
  const std::vector<double> forward = times_of(wanted.repeat, 2, [&] {
    const NoGrad no_grad;
    model.outputs(inputs, {.compute = wanted.compute});
    wait_for(model.device());
  });
  model.require_grad();
  Optimizer optimizer(model, {});
  double last_loss = 0;
  TrainingStep step(model, optimizer, {.compute = wanted.compute});
  const LossCounts counts{.tokens = count_targets(inputs.labels), .sentences = wanted.batch};
  int64_t index = 0;
  const std::vector<double> steps = times_of(wanted.repeat, 2, [&] {
    step.give(index++, 3e-4F, {&inputs, 1}, counts);
    last_loss = step.loss();
  });
  return {{"forward_seconds", forward}, {"step_seconds", steps}, {"loss", last_loss}};
}

Json time_translation(const TranslationTimes& wanted) {
  const LoadedModel loaded = load_model(wanted.directory, {.in_place = true, .pack = wanted.pack});
  Generator generator(*loaded.model, DType::f32);
  const std::vector<std::vector<int32_t>> sources = read_sources(wanted.sources);
  const GenerationOptions options{.max_new_tokens = wanted.tokens, .num_beams = wanted.beams};
  Json ids = Json::array();
  const std::vector<double> seconds = times_of(wanted.repeat, 1, [&] {
    ids = Json::array();
    for (const std::vector<Continuation>& one : generator.generate(sources, options)) ids.push_back(one[0].ids);
  });
  return {{"seconds", seconds}, {"ids", ids}};
}

}  // namespace qkv
