// qkv plan MODEL: what a model will need and do on this machine, before it is loaded.
#include "qkv/core/error.h"
#include "qkv/core/json.h"
#include "qkv/core/progress.h"
#include "qkv/core/threads.h"
#include "qkv/cuda/card_rates.h"
#include "qkv/generate/cache_type.h"
#include "qkv/generate/plan.h"
#include "qkv/io/model_source.h"
#include "qkv/models/compute_type.h"
#include "qkv/models/family.h"
#include "qkv/tensor/device.h"
#include "tools/commands.h"
#include "tools/support/cache_option.h"
#include "tools/support/checks.h"
#include "tools/support/dtype_option.h"
#include "tools/support/int8_options.h"

#include <fmt/format.h>

#include <map>

namespace qkv {
namespace {

struct PlanCommand {
  std::string model;
  int64_t context = 0, batch = 1;
  std::string dtype = "auto", cache;
  PackOptions pack{.floats = true};
  double memory = 0;  // GB
  bool dry = false;
  bool json = false;
};

bool on_card() { return default_device().type == Device::Type::cuda; }

const cuda::DeviceInfo& the_card() { return cuda::devices()[static_cast<size_t>(default_device().index)]; }

std::string words_of(PlannedWeight::Place place) {
  if (on_card()) return "on the card";
  switch (place) {
    case PlannedWeight::Place::mapped:
      return "on the file's pages";
    case PlannedWeight::Place::copied:
      return "in memory";
    case PlannedWeight::Place::packed:
      return "packed in memory";
  }
  return "";
}

struct Group {
  int64_t tensors = 0;
  uint64_t bytes = 0;
};
// By place and type, those of many bytes first.
std::vector<std::pair<std::pair<PlannedWeight::Place, DType>, Group>> groups_of(const ModelPlan& plan) {
  std::map<std::pair<PlannedWeight::Place, DType>, Group> groups;
  for (const PlannedWeight& w : plan.weights) {
    if (w.bytes == 0) continue;
    Group& group = groups[{on_card() ? PlannedWeight::Place::copied : w.place, w.kept}];
    ++group.tensors;
    group.bytes += w.bytes;
  }
  std::vector<std::pair<std::pair<PlannedWeight::Place, DType>, Group>> sorted(groups.begin(), groups.end());
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second.bytes > b.second.bytes; });
  return sorted;
}

Json json_of(const PlanCommand& options, const Use& use, const ModelPlan& plan,
             const std::optional<Prediction>& rates) {
  Json weights = Json::array();
  for (const auto& [how, group] : groups_of(plan))
    weights.push_back({{"type", name_of(how.second)},
                       {"place", words_of(how.first)},
                       {"tensors", group.tensors},
                       {"bytes", group.bytes}});
  const auto work = [](const ModelPlan::Work& w) { return Json{{"flops", w.flops}, {"bytes", w.bytes}}; };
  Json report = {{"model", options.model},
                 {"parameters", plan.parameters},
                 {"context", use.context},
                 {"sequences", use.sequences},
                 {"weights", weights},
                 {"weight_bytes", plan.weight_bytes},
                 {"cache_type", name_of(use.cache.value_or(use.compute))},
                 {"cache_bytes_per_token", plan.cache_bytes_of_position},
                 {"cache_bytes", plan.cache_bytes},
                 {"scratch_bytes", plan.scratch_bytes},
                 {"memory", plan.memory},
                 {"fits", plan.fits()},
                 {"token", work(plan.token)},
                 {"prompt_token", work(plan.prompt_token)},
                 {"prompt_chunk", plan.prompt}};
  if (!plan.fits()) {
    report["missing_bytes"] = plan.weight_bytes + plan.cache_bytes + plan.scratch_bytes - plan.memory;
    report["advice"] = plan.advice;
  }
  if (!rates) return report;
  Json products = Json::array();
  for (const Prediction::Product& p : rates->products)
    products.push_back(
        {{"type", p.type}, {"bytes_per_second", p.bytes_a_second}, {"flops_per_second", p.flops_a_second}});
  report["machine"] = {{"bytes_per_second", rates->bandwidth}, {"products", products}};
  if (on_card()) {
    report["machine"]["card"] = the_card().name;
  } else {
    report["machine"]["threads"] = threads();
  }
  report["predicted"] = {{"tokens_per_second", rates->tokens_a_second},
                         {"prompt_tokens_per_second", rates->prompt_tokens_a_second}};
  return report;
}

void print(const PlanCommand& options, const Spec& spec, const Use& use, const ModelPlan& plan,
           const std::optional<Prediction>& rates) {
  const auto bytes = [](double count) { return short_quantity(count, "B"); };
  fmt::print("{}: a {} of {} parameters; {} tokens of context, {} at a time\n\n", options.model, name_of(spec.task),
             short_count(static_cast<double>(plan.parameters)), use.context, use.sequences);
  std::string parts;
  for (const auto& [how, group] : groups_of(plan))
    parts += fmt::format("{}{} {} {}", parts.empty() ? "" : ", ", name_of(how.second), words_of(how.first),
                         bytes(static_cast<double>(group.bytes)));
  fmt::print("weights      {:>9}   {}\n", bytes(static_cast<double>(plan.weight_bytes)), parts);
  if (spec.generates())
    fmt::print("cache        {:>9}   {}, {} a token\n", bytes(static_cast<double>(plan.cache_bytes)),
               name_of(use.cache.value_or(use.compute)), bytes(plan.cache_bytes_of_position));
  fmt::print("scratch      {:>9}   at most, with {} tokens of a prompt at once\n",
             bytes(static_cast<double>(plan.scratch_bytes)), plan.prompt);
  const uint64_t all = plan.weight_bytes + plan.cache_bytes + plan.scratch_bytes;
  if (plan.fits()) {
    fmt::print("together     {:>9}   fits: it may take {}\n", bytes(static_cast<double>(all)), gigabytes(plan.memory));
  } else {
    fmt::print("together     {:>9}   does not fit: {} more than the {} that it may take\n  try: {}\n",
               bytes(static_cast<double>(all)), gigabytes(all - plan.memory), gigabytes(plan.memory), plan.advice);
  }
  const auto work = [&](const char* what, const ModelPlan::Work& w) {
    fmt::print("{:<13}{:>9} FLOP, reads {}\n", what, short_count(w.flops), bytes(w.bytes));
  };
  fmt::print("\n");
  if (spec.generates()) work("a new token", plan.token);
  work("of a prompt", plan.prompt_token);
  if (!rates) return;
  if (on_card()) {
    fmt::print("\nthis card    {:>9}/s of memory, {} in {}: {}\n", bytes(rates->bandwidth),
               short_quantity(rates->products[0].flops_a_second, "FLOP/s"), rates->products[0].type, the_card().name);
    fmt::print("at most      ");
    if (spec.generates()) fmt::print("{:>9.1f} new tokens/s behind a full context, ", rates->tokens_a_second);
    fmt::print("{:.0f} tokens/s of prompts\n", rates->prompt_tokens_a_second);
    return;
  }
  fmt::print("\nthis machine {:>9}/s read by {} threads; products", bytes(rates->bandwidth), threads());
  for (size_t i = 0; i < rates->products.size(); ++i)
    fmt::print("{} {} {}/s, of prompts {} FLOP/s", i == 0 ? "" : ";", rates->products[i].type,
               bytes(rates->products[i].bytes_a_second), short_count(rates->products[i].flops_a_second));
  fmt::print("\npredicted    ");
  if (spec.generates()) fmt::print("{:>9.1f} new tokens/s behind a full context, ", rates->tokens_a_second);
  fmt::print("{:.0f} tokens/s of prompts\n", rates->prompt_tokens_a_second);
}

void plan(const PlanCommand& options) {
  const Config config = read_config(options.model);
  const Spec spec = spec_of(config);
  const int64_t own = spec.max_positions();
  if (own > 0 && options.context > own)
    throw Error("--context", fmt::format("{} is more than the model's {} positions", options.context, own));
  const int64_t usual = own > 0 ? std::min<int64_t>(own, 4096) : 4096;
  const Use use{.compute = compute_type_named(options.dtype, config),
                .cache = cache_type_named(options.cache),
                .packing = on_card() ? std::optional<PackOptions>() : options.pack,
                .context = options.context > 0 ? options.context : usual,
                .sequences = options.batch};
  const uint64_t memory = options.memory > 0 ? static_cast<uint64_t>(options.memory * 1e9) : usual_memory();
  const ModelPlan made = plan_model(options.model, spec, use, memory);
  const bool predictable = !spec.encoder && !spec.twin && !options.dry;
  std::optional<Prediction> rates;
  if (predictable) rates = on_card() ? most_on_card(made, use, cuda::card_rates(the_card())) : predict(made, spec, use);
  if (options.json) {
    fmt::print("{}\n", json_of(options, use, made, rates).dump(2));
  } else {
    print(options, spec, use, made, rates);
  }
}

}  // namespace

void add_plan(CLI::App& app) {
  CLI::App* command = app.add_subcommand("plan", "what a model will need and do on this machine, without loading it");
  command->group("Models");
  auto o = std::make_shared<PlanCommand>();
  command->add_option("model", o->model, "a model directory, or a GGUF file")->required()->type_name("MODEL");
  command
      ->add_option("--context", o->context,
                   "tokens of a text, prompt and answer (0: as the model has it, at most 4096)")
      ->capture_default_str()
      ->check(at_least(0));
  command->add_option("--batch", o->batch, "so many texts are written together")
      ->capture_default_str()
      ->check(CLI::Range(1, 4096));
  add_dtype_option(*command, o->dtype);
  add_cache_option(*command, o->cache);
  add_int8_options(*command, o->pack);
  command->add_option("--memory", o->memory, "GB that the model may take (0: four fifths of this machine's)")
      ->capture_default_str()
      ->check(not_negative());
  command->add_flag("--no-measuring", o->dry, "sizes and work alone, no rates: nothing is computed");
  command->add_flag("--json", o->json, "print JSON");
  add_threads_option(*command);
  add_device_option(*command);
  command->footer(
      "Examples:\n  qkv plan models/llama-q4.gguf --context 2048\n"
      "  qkv plan models/llama --context 8192 --batch 8 --cache q8_0 --json");
  command->callback([o] { plan(*o); });
}

}  // namespace qkv
