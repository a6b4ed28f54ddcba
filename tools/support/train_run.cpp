#include "tools/support/train_run.h"

#include "qkv/core/error.h"
#include "qkv/core/threads.h"
#include "qkv/cuda/runtime.h"
#include "qkv/data/fingerprint.h"
#include "qkv/data/masking.h"
#include "qkv/data/sources.h"
#include "qkv/data/token_cache.h"
#include "qkv/io/tokenizer_fits.h"
#include "qkv/models/describe.h"
#include "qkv/ops/autograd.h"
#include "qkv/tensor/device.h"
#include "qkv/text/tokenizer.h"
#include "qkv/train/cost.h"
#include "tools/support/new_tokenizer.h"
#include "tools/support/objective.h"
#include "tools/support/signals.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <optional>

namespace qkv {
namespace {

void say(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

bool is_kind(const std::string& tokenizer) { return tokenizer == "bpe" || tokenizer == "char" || tokenizer == "byte"; }

// The tokenizer of the run: its directory's when it goes on, the one named, the checkpoint's, or a new one made from
// the text.
Tokenizer tokenizer_for(const TrainRun& run, const Sources& sources, Objective objective) {
  if (run.resume) return Tokenizer::load(run.out);
  if (!is_kind(run.tokenizer)) return Tokenizer::load(run.tokenizer);
  if (!run.from.empty()) return Tokenizer::load(run.from);
  say(fmt::format("tokenizer: {} from {} of text in {} file{}",
                  run.tokenizer == "bpe" ? fmt::format("a BPE of {} tokens", run.vocab_size) : run.tokenizer,
                  short_quantity(static_cast<double>(sources.bytes()), "B"), sources.files.size(),
                  sources.files.size() == 1 ? "" : "s"));
  return new_tokenizer(run.tokenizer, run.vocab_size, sources, special_tokens_for(objective, run.sizes.context));
}

struct TextStreams {
  TokenStream train;
  std::optional<TokenStream> validation;
};

TextStreams read_streams(const TrainRun& run, const Sources& sources, const Tokenizer& tokenizer) {
  const SpecialTokens& special = tokenizer.special();
  const std::optional<int32_t> end = special.eos ? special.eos : special.sep;
  const std::string saved = read_file(fs::path(run.out) / "tokenizer.json");
  const Encoder encoder{
      .encode = [&](std::string_view text) { return tokenizer.encode_ids(text, {.add_special_tokens = false}); },
      .vocabulary = tokenizer.vocab_size(),
      .end_of_text = end.value_or(-1),
      .fingerprint = Fingerprint().add(saved).value(),
      .cut_at_lines = tokenizer.kind() != "WordLevel"};
  std::optional<Progress> progress;
  const CacheReport report{.note =
                               [&](std::string_view line) {
                                 progress.reset();  // ends its line
                                 say(std::string(line));
                               },
                           .progress =
                               [&](uint64_t bytes, uint64_t total) {
                                 if (!progress) progress.emplace("tokenizing", static_cast<int64_t>(total), "bytes");
                                 progress->update(static_cast<int64_t>(bytes));
                               }};
  const fs::path state = fs::path(run.out) / "state";
  const TokenStream all = cached_tokens(state / "train.tokens", sources, encoder, report);
  progress.reset();
  if (!run.validation.empty())
    return {all, cached_tokens(state / "validation.tokens", find_sources(run.validation, run.field), encoder, report)};
  if (run.val_fraction <= 0) return {all, {}};
  const auto [train, validation] = all.split(run.val_fraction);
  return {train, validation};
}

Config new_config(const TrainRun& run, const Tokenizer& tokenizer) {
  const Family& family = family_named(run.family, "--family");
  Sizes sizes = run.sizes;
  sizes.vocab = tokenizer.vocab_size();
  sizes.tied = !run.untied;
  Json config = family.config(sizes);
  if (run.init_std > 0) config["initializer_range"] = run.init_std;
  const SpecialTokens& special = tokenizer.special();
  const auto id = [](const std::optional<int32_t>& token) { return token ? Json(*token) : Json(nullptr); };
  config["bos_token_id"] = id(special.bos ? special.bos : special.eos);
  config["eos_token_id"] = id(special.eos);
  if (special.pad) config["pad_token_id"] = *special.pad;
  if (special.pad && config.contains("is_encoder_decoder")) config["decoder_start_token_id"] = *special.pad;
  return {config, "new model"};
}

// What the machine cannot hold is refused before it is tried: the system would kill the process without a word.
void check_memory(const Spec& spec) {
  const double bytes_a_parameter = 16;  // itself, its gradient and two moments
  const double needed = bytes_a_parameter * static_cast<double>(describe(spec).parameters);
  const Device device = default_device();
  const double present = static_cast<double>(
      device.type == Device::Type::cuda ? cuda::devices()[static_cast<size_t>(device.index)].memory
                                        : static_cast<size_t>(::sysconf(_SC_PHYS_PAGES) * ::sysconf(_SC_PAGE_SIZE)));
  if (needed > present)
    throw Error("model",
                fmt::format("needs {}B of memory to train, and {} has {}B", short_count(needed),
                            device == Device() ? "this machine" : to_string(device), short_count(present)),
                "fewer --layers, a smaller --width or a shorter --context");
}

// The architecture, before anything is written: of a checkpoint, or of a new model with a guess at its vocabulary.
Spec planned_spec(const TrainRun& run) {
  if (!run.from.empty()) return spec_of(Config::read(run.from));
  const Family& family = family_named(run.family, "--family");
  if (family.config == nullptr)
    throw Error("--family", fmt::format("{} cannot be trained from scratch yet", family.name));
  Sizes sizes = run.sizes;
  sizes.vocab = run.vocab_size;
  Spec spec = spec_of({family.config(sizes), "sizes"});
  check_memory(spec);
  return spec;
}

// How many steps take about so long on this machine. A few are timed up to their gradients, which are then cleared: the
// model stays as it was.
int64_t steps_within(double seconds, Model& model, Optimizer& optimizer, const Batches& train, DType compute) {
  using Clock = std::chrono::steady_clock;
  constexpr int64_t tried = 8;
  std::vector<double> times;
  for (int64_t i = 0; i < tried; ++i) {
    const auto start = Clock::now();
    backward(model.loss(inputs_of(train.batch(i)), {.compute = compute, .training = true}));
    times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    optimizer.clear_gradients();
  }
  // The first ones prepare products and memory.
  std::nth_element(times.begin(), times.begin() + tried / 2, times.end());
  const int64_t steps = static_cast<int64_t>(seconds / times[tried / 2]) / 100 * 100;
  return std::clamp<int64_t>(steps, 200, 4000);
}

void print_plan(const TrainRun& run, const TrainingCost& cost, const Spec& spec, const TokenStream& stream,
                int64_t length, DType compute) {
  const int64_t per_step = run.batch * length * run.options.accumulate;
  const double tokens = static_cast<double>(per_step) * static_cast<double>(run.options.steps);
  say(fmt::format("model:     {}, {} parameters: {} layers, width {}, {} heads, context {}", spec.family,
                  short_count(static_cast<double>(cost.parameters)), spec.layers(), spec.width(),
                  spec.stack.block.attention.heads, length));
  say(fmt::format("data:      {} tokens for training", short_count(static_cast<double>(stream.size()))));
  say(fmt::format("steps:     {} of {} tokens ({} rows of {}{}): {} tokens, {:.1f} passes over the data",
                  run.options.steps, per_step, run.batch, length,
                  run.options.accumulate > 1 ? fmt::format(", {} times", run.options.accumulate) : "",
                  short_count(tokens), tokens / static_cast<double>(std::max<int64_t>(1, stream.size()))));
  say(fmt::format("memory:    about {}: {} for parameters and optimizer, {} for activations",
                  short_quantity(cost.state_bytes + cost.activation_bytes, "B"), short_quantity(cost.state_bytes, "B"),
                  short_quantity(cost.activation_bytes, "B")));
  const std::string token = short_quantity(cost.flops_per_token, "FLOP");
  if (const Device device = default_device(); device.type == Device::Type::cuda) {
    const cuda::DeviceInfo& card = cuda::devices()[static_cast<size_t>(device.index)];
    const double peak = run.options.peak_flops;
    say(fmt::format("machine:   {}: {}, {}, {}in {}; a token costs {}", to_string(device), card.name,
                    short_quantity(static_cast<double>(card.memory), "B"),
                    peak > 0 ? fmt::format("at most {} ", short_quantity(peak, "FLOP/s")) : "", name_of(compute),
                    token));
  } else {
    say(fmt::format("machine:   {} threads, {} in {}; a token costs {}", threads(),
                    short_quantity(run.options.peak_flops, "FLOP/s"), name_of(compute), token));
  }
  say(fmt::format("loss:      {:.2f} is a blind guess among {} tokens", std::log(static_cast<double>(spec.vocab)),
                  spec.vocab));
}

// Rounding at random is of bf16.
void check_rounding(TrainRun& run) {
  if (!run.optimizer_options.stochastic_rounding) return;
  if (run.dtype == "auto") run.dtype = "bf16";
  if (run.dtype != "bf16")
    throw Error("--stochastic-rounding", fmt::format("nothing is rounded to bf16 in {}", run.dtype), "--dtype bf16");
  if (run.optimizer == "muon")
    throw Error("--stochastic-rounding", "muon does not round at random", "--optimizer adamw, lion or sgd");
}

}  // namespace

std::string faster_dtype() {
  if (default_device().type == Device::Type::cuda) return "bf16";
  return measured_peak(DType::bf16) > 1.3 * measured_peak(DType::f32) ? "bf16" : "f32";
}

TrainResult run_training(TrainRun run, const std::string& effective_config) {
  check_rounding(run);
  if (run.out.empty())
    throw Error("--out", "is needed: the directory for the run's results", "qkv train TEXT --out runs/mine");
  if (run.text.empty())
    throw Error("text", "is needed: files, folders or patterns to learn from", "qkv train book.txt --out runs/book");
  const Sources sources = find_sources(run.text, run.field);
  const Spec planned = planned_spec(run);
  const Objective objective = objective_of(run, planned);
  const RunDirectory directory(run.out);
  if (directory.has_state() && !run.resume)
    throw Error(run.out, "already holds a run",
                fmt::format("continue it with qkv train --resume {}, or choose another --out", run.out));
  if (run.resume && !directory.has_state() && !fs::exists(fs::path(run.out) / "tokenizer.json"))
    throw Error(run.out, "holds no run to resume", "start one with --out");

  const Tokenizer tokenizer = tokenizer_for(run, sources, objective);
  if (!run.resume) tokenizer.save(run.out);
  if (!effective_config.empty() && !run.resume) write_file(fs::path(run.out) / "run.toml", effective_config);

  LoadedModel loaded = run.from.empty() ? [&] {
    const Config config = new_config(run, tokenizer);
    LoadedModel fresh{config, std::make_unique<Model>(spec_of(config)), {}};
    fresh.model->initialise(RandomKey{run.options.seed}.child(0));
    fresh.model->to(default_device());
    return fresh;
  }()
                                        : load_model(run.from);
  Model& model = *loaded.model;
  check_tokenizer_fits(tokenizer, model.spec().vocab, run.from.empty() ? run.out : run.from);
  const int64_t positions = model.spec().max_positions();
  const int64_t length = positions == 0 ? run.sizes.context : std::min(run.sizes.context, positions);
  model.require_grad();

  run.options.compute = dtype_named(run.dtype == "auto" ? faster_dtype() : run.dtype);
  run.options.keep_best = run.keep == "best";
  run.optimizer_options.kind = optimizer_named(run.optimizer);
  run.rates.kind = schedule_named(run.schedule);
  Optimizer optimizer(model, run.optimizer_options);
  const TextStreams streams = read_streams(run, sources, tokenizer);
  const std::unique_ptr<Batches> train =
      batches_for(objective, run, model.spec(), streams.train, tokenizer, length, false);
  const std::unique_ptr<Batches> validation =
      streams.validation ? batches_for(objective, run, model.spec(), *streams.validation, tokenizer, length, true)
                         : nullptr;
  if (run.seconds > 0) {
    run.options.steps = steps_within(run.seconds, model, optimizer, *train, run.options.compute);
    run.options.eval_every = (run.options.steps + 7) / 8;
  }
  run.rates.steps = run.options.steps;

  RunState state;
  if (directory.has_state()) {
    state = directory.load_state(model, optimizer);
    say(fmt::format("resuming {} at step {}", run.out, state.step));
  }
  directory.metrics_until(state.step);
  const int moments = run.optimizer_options.kind == OptimizerOptions::Kind::adamw ? 2 : 1;
  const double scored = objective == Objective::masked ? scored_part(Masking().chosen) : 1;
  const TrainingCost cost =
      training_cost(model, run.batch, length, run.options.compute, moments, run.options.checkpoint_activations, scored);
  run.options.flops_per_token = cost.flops_per_token;
  run.options.peak_flops = peak_of(model.device(), run.options.compute);
  print_plan(run, cost, model.spec(), streams.train, length, run.options.compute);

  const auto save = [&] {
    save_model(run.out, loaded.config, model);
    const Json& config = loaded.config.json();
    Json generation = {{"bos_token_id", config.value("bos_token_id", Json())},
                       {"eos_token_id", config.value("eos_token_id", Json())}};
    for (const char* key : {"pad_token_id", "decoder_start_token_id"})
      if (model.spec().encoder && config.contains(key)) generation[key] = config[key];
    if (model.spec().generates()) write_file(fs::path(run.out) / "generation_config.json", generation.dump(2) + "\n");
  };
  Trainer trainer(model, optimizer, run.rates, *train, validation.get(), directory, run.options, save);
  return trainer.run(state, stop_requested());
}

}  // namespace qkv
