// qkv bench: times kernels, training steps and generation on random weights and data. bench/run sets these beside the
// peers' figures.
#include "bench/kernel_cases.h"
#include "qkv/core/error.h"
#include "qkv/core/progress.h"
#include "qkv/cuda/runtime.h"
#include "qkv/generate/cache_type.h"
#include "qkv/generate/generator.h"
#include "qkv/io/hugging_face.h"
#include "qkv/io/model_source.h"
#include "qkv/models/compute_type.h"
#include "qkv/models/family.h"
#include "qkv/models/replayed_passes.h"
#include "qkv/ops/cross_entropy.h"
#include "qkv/tensor/replay.h"
#include "qkv/train/cost.h"
#include "qkv/train/training_step.h"
#include "tools/commands.h"
#include "tools/support/bench_model.h"
#include "tools/support/cache_option.h"
#include "tools/support/dtype_option.h"
#include "tools/support/int8_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>

namespace qkv {
namespace {

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct BenchCommand {
  std::string filter;
  std::string model;
  std::string family = "gpt2";
  Sizes sizes{.vocab = 50257, .context = 1024, .layers = 12, .heads = 12, .width = 768};
  int64_t batch = 1;
  int64_t length = 256;
  int64_t repeat = 5;
  int64_t prompt = 512;
  std::string cache;
  int64_t tokens = 64;
  std::string sources;
  int64_t beams = 1;
  int64_t target_length = 32;
  std::string dtype = "auto";
  bool json = false;
  bool reference = false;
  PackOptions pack;
};

// The median of several runs.
double time_of(const KernelCase& one) {
  const kernels::KernelSet& set = kernels::kernels_for(default_device());
  one.result(set);
  std::vector<double> times;
  double total = 0;
  while (times.size() < 5 || (total < 0.3 && times.size() < 200)) {
    if (one.prepare) one.prepare();
    times.push_back(seconds([&] { one.run(set); }));
    total += times.back();
  }
  return median(times);
}

// Of a GPU's kernels alone: replays of one run, several at once, so that neither the host's part of the run counts nor
// the time that it takes to ask for kernels.
double time_on_card(const KernelCase& one) {
  constexpr int at_once = 10;
  const Device device = default_device();
  const kernels::KernelSet& set = kernels::kernels_for(device);
  one.result(set);
  std::vector<Tensor> results;  // live as long as the replays
  Replay replay;
  if (!replay.record(device, [&] { results = one.run(set); }))
    throw Error("bench", fmt::format("'{}' cannot be recorded", one.name));
  const auto work = [&] {
    for (int i = 0; i < at_once; ++i) replay.play();
    wait_for(device);
  };
  work();  // the memory comes to the card
  std::vector<double> times;
  double total = 0;
  while (times.size() < 5 || (total < 0.3 && times.size() < 50)) {
    times.push_back(seconds(work) / at_once);
    total += times.back() * at_once;
  }
  return median(times);
}

void bench_ops(const BenchCommand& options) {
  const bool on_card = default_device().type == Device::Type::cuda;
  if (on_card)
    set_host_memory({.take = [](size_t, size_t bytes) { return cuda::allocate_for_both(bytes); },
                     .give_back = cuda::release_for_both});
  Json report = Json::array();
  for (const KernelCase& one : kernel_cases()) {
    if (!one.large || one.name.find(options.filter) == std::string::npos) continue;
    const double time = on_card ? time_on_card(one) : time_of(one);
    if (one.prepare) one.prepare();
    const double slow = options.reference ? seconds([&] { one.run(kernels::reference()); }) : 0;
    if (options.json) {
      report.push_back(
          {{"name", one.name}, {"seconds", time}, {"flops", one.flops / time}, {"bytes", one.bytes / time}});
      continue;
    }
    fmt::print("{:<52} {:>9.3f} ms  {:>6.1f} {}{}\n", one.name, time * 1e3,
               (one.flops > 0 ? one.flops : one.bytes) / time / 1e9, one.flops > 0 ? "GFLOP/s" : "GB/s",
               slow > 0 ? fmt::format("  {:.0f}x reference", slow / time) : "");
  }
  if (options.json) fmt::print("{}\n", report.dump(2));
}

DType dtype_of(const BenchCommand& options) {
  if (options.dtype != "auto") return dtype_named(options.dtype);
  return options.model.empty() ? DType::f32 : compute_type(read_config(options.model));
}

// The checkpoint that was named, or random weights.
std::unique_ptr<Model> make_model(const BenchCommand& options, const LoadOptions& how = {}) {
  if (!options.model.empty()) return load_model(options.model, how).model;
  auto model =
      std::make_unique<Model>(spec_of(Config(family_named(options.family, "--family").config(options.sizes), "bench")));
  model->initialise(RandomKey{1});
  model->to(how.device);
  if (how.matrices != DType::f32) model->to_half(how.matrices);
  if (how.pack && how.device == Device()) model->pack(*how.pack);
  return model;
}

std::unique_ptr<Model> model_for_inference(const BenchCommand& options) {
  return make_model(options, {.in_place = true, .matrices = dtype_of(options), .pack = options.pack});
}

void bench_train(const BenchCommand& options) {
  const DType dtype = dtype_of(options);
  const std::unique_ptr<Model> made = make_model(options);
  Model& model = *made;
  model.require_grad();
  Optimizer optimizer(model, {.beta2 = 0.99F});
  const Inputs inputs = random_inputs(model.spec(), options.batch, options.length);
  double last_loss = 0;
  TrainingStep step(model, optimizer, {.compute = dtype});
  const LossCounts counts{.tokens = count_targets(inputs.labels), .sentences = options.batch};
  int64_t index = 0;
  const std::vector<double> times = times_of(options.repeat, 2, [&] {
    step.give(index++, 3e-4F, {&inputs, 1}, counts);
    last_loss = step.loss();
  });
  const double time = median(times);
  const double tokens = static_cast<double>(options.batch * options.length);
  const double scored = scored_part(static_cast<double>(counts.tokens) / tokens);
  const double flops =
      training_cost(model, options.batch, options.length, dtype, 2, false, scored).flops_per_token * tokens / time;
  Json report = {{"tokens_per_second", tokens / time},
                 {"seconds", time},
                 {"step_seconds", times},
                 {"loss", last_loss},
                 {"flops", flops},
                 {"peak_memory", memory_use(model.device()).peak}};
  if (const double peak = peak_of(model.device(), dtype); peak > 0) report["mfu"] = flops / peak;
  fmt::print("{}\n", report.dump());
}

void bench_encode(const BenchCommand& options) {
  const std::unique_ptr<Model> made = model_for_inference(options);
  Model& model = *made;
  const Inputs inputs = random_inputs(model.spec(), options.batch, options.length);
  ReplayedPasses passes(model, dtype_of(options));
  const std::vector<double> times = times_of(options.repeat, 2, [&] {
    passes.hidden(inputs);
    wait_for(model.device());
  });
  fmt::print("{}\n", Json{{"seconds", median(times)}, {"samples", times}}.dump());
}

void bench_generate(const BenchCommand& options) {
  const DType dtype = dtype_of(options);
  const std::unique_ptr<Model> made = model_for_inference(options);
  Model& model = *made;
  Generator generator(model, dtype, cache_type_named(options.cache));
  const auto prompt = [&](int64_t length) {
    return std::vector<std::vector<int32_t>>(static_cast<size_t>(options.batch),
                                             random_inputs(model.spec(), 1, length).input_ids.to_vector<int32_t>());
  };
  GenerationOptions settings{.max_new_tokens = options.tokens};
  std::vector<double> prefill;
  std::vector<double> decode;
  for (int64_t i = 0; i < options.repeat + 1; ++i) {
    generator.generate(prompt(options.prompt), {.max_new_tokens = 1});
    const double read = static_cast<double>(generator.times().prompt_tokens) / generator.times().prompt_seconds;
    generator.generate(prompt(8), settings);
    // The first token comes from the prompt, the others from a step each.
    const double written =
        static_cast<double>(generator.times().new_tokens - options.batch) / generator.times().decode_seconds;
    if (i > 0) {
      prefill.push_back(read);
      decode.push_back(written);
    }
  }
  fmt::print("{}\n", Json{{"prefill_tokens_per_second", median(prefill)},
                          {"decode_tokens_per_second", median(decode)},
                          {"prefill_samples", prefill},
                          {"decode_samples", decode},
                          {"peak_memory", memory_use(model.device()).peak}}
                         .dump());
}

}  // namespace

void add_bench(CLI::App& app) {
  CLI::App* command = app.add_subcommand("bench", "time kernels, training and generation");
  command->group("Checks");
  command->require_subcommand(1);
  auto o = std::make_shared<BenchCommand>();
  const auto sizes = [&](CLI::App& sub) {
    sub.add_option("--model", o->model, "a checkpoint's directory or GGUF file, in place of random weights");
    sub.add_option("--family", o->family, "family of the model")->capture_default_str();
    sub.add_option("--vocab", o->sizes.vocab, "vocabulary")->capture_default_str();
    sub.add_option("--layers", o->sizes.layers, "blocks")->capture_default_str();
    sub.add_option("--heads", o->sizes.heads, "heads")->capture_default_str();
    sub.add_option("--kv-heads", o->sizes.kv_heads, "heads of keys and values (0: all)")->capture_default_str();
    sub.add_option("--width", o->sizes.width, "width")->capture_default_str();
    sub.add_option("--feed-forward", o->sizes.feed_forward, "width inside the feed-forward (0: as the family has it)")
        ->capture_default_str();
    sub.add_flag("--untied{false}", o->sizes.tied, "the output matrix is not the token embedding");
    sub.add_option("--context", o->sizes.context, "positions of the model")->capture_default_str();
    sub.add_option("--batch", o->batch, "rows")->capture_default_str()->check(CLI::PositiveNumber);
    add_dtype_option(sub, o->dtype);
    sub.add_option("--repeat", o->repeat, "counted repetitions")->capture_default_str()->check(CLI::PositiveNumber);
    add_threads_option(sub);
    add_device_option(sub);
  };
  CLI::App* ops = command->add_subcommand("ops", "each kernel at sizes that matter");
  ops->add_option("--filter", o->filter, "only names that contain this");
  ops->add_flag("--reference", o->reference, "also the plain loops, once");
  ops->add_flag("--json", o->json, "as JSON");
  add_threads_option(*ops);
  add_device_option(*ops);
  ops->callback([o] { bench_ops(*o); });
  CLI::App* train = command->add_subcommand("train", "steps of AdamW on random tokens; prints JSON");
  sizes(*train);
  train->add_option("--length", o->length, "tokens a row")->capture_default_str()->check(CLI::PositiveNumber);
  train->callback([o] { bench_train(*o); });
  CLI::App* encode = command->add_subcommand("encode", "the blocks of a model on random tokens; prints JSON");
  sizes(*encode);
  add_int8_options(*encode, o->pack);
  encode->add_option("--length", o->length, "tokens a row")->capture_default_str()->check(CLI::PositiveNumber);
  encode->callback([o] {
    o->pack.floats = true;
    bench_encode(*o);
  });
  CLI::App* model = command->add_subcommand("model", "a checkpoint's forward pass and training step; prints JSON");
  model->add_option("model", o->model, "directory of a language model")->required()->type_name("DIR");
  model->add_option("--batch", o->batch, "rows")->capture_default_str()->check(CLI::PositiveNumber);
  model->add_option("--length", o->length, "tokens a row")->capture_default_str()->check(CLI::PositiveNumber);
  model->add_option("--target-length", o->target_length, "of encoder-decoders: tokens a row to predict")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  add_dtype_option(*model, o->dtype);
  model->add_option("--repeat", o->repeat, "counted repetitions")->capture_default_str()->check(CLI::PositiveNumber);
  add_threads_option(*model);
  add_device_option(*model);
  model->callback([o] {
    const Json times = time_model({.directory = o->model,
                                   .batch = o->batch,
                                   .length = o->length,
                                   .target_length = o->target_length,
                                   .repeat = o->repeat,
                                   .compute = compute_type_named(o->dtype, read_config(o->model))});
    fmt::print("{}\n", times.dump());
  });
  CLI::App* translate = command->add_subcommand("translate", "an encoder-decoder's writing; prints JSON");
  translate->add_option("model", o->model, "directory of an encoder-decoder")->required()->type_name("DIR");
  translate->add_option("--sources", o->sources, "JSON: a list of ids for each row")->required()->type_name("FILE");
  translate->add_option("--tokens", o->tokens, "tokens to write a row")
      ->capture_default_str()
      ->check(CLI::Range(2, 1 << 20));
  translate->add_option("--beams", o->beams, "beams")->capture_default_str()->check(CLI::Range(1, 1024));
  add_int8_options(*translate, o->pack);
  translate->add_option("--repeat", o->repeat, "counted repetitions")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  add_threads_option(*translate);
  add_device_option(*translate);
  translate->callback([o] {
    const Json times = time_translation({.directory = o->model,
                                         .sources = o->sources,
                                         .tokens = o->tokens,
                                         .beams = o->beams,
                                         .pack = o->pack,
                                         .repeat = o->repeat});
    fmt::print("{}\n", times.dump());
  });
  CLI::App* generate = command->add_subcommand("generate", "reading a prompt and writing tokens; prints JSON");
  sizes(*generate);
  add_int8_options(*generate, o->pack);
  add_cache_option(*generate, o->cache);
  generate->add_option("--prompt", o->prompt, "tokens of the prompt")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  generate->add_option("--tokens", o->tokens, "tokens to write")->capture_default_str()->check(CLI::Range(2, 1 << 20));
  generate->callback([o] {
    o->pack.floats = true;
    bench_generate(*o);
  });
  command->footer(
      "Examples:\n  qkv bench ops --filter attention\n  qkv bench train --layers 6 --heads 6 --width 384 --vocab 65 "
      "--batch 8 --length 256 --dtype bf16\n  qkv bench encode --family bert --vocab 30522 --batch 8 --length 128 "
      "--int8");
}

}  // namespace qkv
