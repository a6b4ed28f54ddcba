// qkv info DIR: what a model directory holds; qkv info --families, --devices.
#include "qkv/core/error.h"
#include "qkv/core/progress.h"
#include "qkv/core/threads.h"
#include "qkv/cuda/card_rates.h"
#include "qkv/kernels/kernels.h"
#include "qkv/io/gguf.h"
#include "qkv/io/golden.h"
#include "qkv/io/model_source.h"
#include "qkv/models/describe.h"
#include "qkv/tensor/device.h"
#include "tools/commands.h"

#include <fmt/format.h>

namespace qkv {
namespace {

struct InfoCommand {
  std::string directory;
  bool families = false;
  bool markdown = false;
  std::string golden;
  bool devices = false;
  bool json = false;
};

// By family the largest error of an output over the cases in a folder.
std::map<std::string, std::string> golden_errors(const std::string& folder) {
  std::map<std::string, std::string> texts;
  if (folder.empty()) return texts;
  std::map<std::string, double> errors;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (!fs::exists(entry.path() / "golden.json")) continue;
    double& worst = errors[Config::read(entry.path()).text("model_type", "")];
    for (const GoldenResult& result : compare_with_golden(entry.path(), DType::f32))
      if (!result.name.starts_with("grad.")) worst = std::max(worst, result.error);
  }
  for (const auto& [family, error] : errors) texts[family] = fmt::format("{:.0e}", error);
  return texts;
}

void print_families() {
  for (const Family* family : all_families())
    fmt::print("{:<12} {:<12} {}\n", family->type, family->name, family->paper);
}

// What is known of them.
std::string rates_in_words(const cuda::CardRates& rates) {
  std::string words;
  if (rates.half > 0)
    words += fmt::format("; at most {} in bf16, {} in tf32, {} in f32", short_quantity(rates.half, "FLOP/s"),
                         short_quantity(rates.tf32, "FLOP/s"), short_quantity(rates.f32, "FLOP/s"));
  if (rates.bandwidth > 0)
    words += fmt::format("{} {} of memory", rates.half > 0 ? "," : "; at most", short_quantity(rates.bandwidth, "B/s"));
  return words;
}

void print_devices() {
  const kernels::KernelSet& set = kernels::kernels_for({});
  fmt::print("cpu      {} threads, kernels: {}", threads(), set.name);
  for (const std::string_view name : set.inherited)
    fmt::print("{}{}", name == set.inherited.front() ? "; by reference: " : ", ", name);
  fmt::print("\n");
  const std::vector<cuda::DeviceInfo>& cards = cuda::devices();
  for (size_t i = 0; i < cards.size(); ++i)
    fmt::print("{:<8} {}, {}, compute capability {}.{}{}\n",
               to_string({.type = Device::Type::cuda, .index = static_cast<int>(i)}), cards[i].name,
               short_quantity(static_cast<double>(cards[i].memory), "B"), cards[i].major, cards[i].minor,
               rates_in_words(cuda::card_rates(cards[i])));
  if (const std::string why = cuda::why_none(); cards.empty()) fmt::print("cuda     none: {}\n", why);
}

// What a GGUF file holds of each type.
void print_types(const std::string& model) {
  if (!is_gguf(model)) return;
  const Gguf file(model);
  std::map<std::string_view, std::pair<int, int64_t>> types;
  for (const std::string& name : file.names()) {
    auto& [tensors, bytes] = types[name_of(file.dtype(name))];
    ++tensors;
    bytes += bytes_of(file.dtype(name), file.shape(name).numel());
  }
  for (const auto& [type, held] : types)
    fmt::print("in the file  {:<7} {:>4} tensors, {}\n", type, held.first,
               short_quantity(static_cast<double>(held.second), "B"));
}

void print_model(const InfoCommand& options) {
  const Config config = read_config(options.directory);
  const Spec spec = spec_of(config);
  const ModelDescription description = describe(spec);
  if (options.json) {
    Json parts = Json::object();
    for (const auto& [name, count] : description.parts) parts[name] = count;
    fmt::print("{}\n", Json{{"family", spec.family},
                            {"task", name_of(spec.task)},
                            {"parameters", description.parameters},
                            {"parts", parts},
                            {"layers", spec.layers()},
                            {"width", spec.width()},
                            {"heads", spec.stack.block.attention.heads},
                            {"kv_heads", spec.stack.block.attention.kv_heads},
                            {"vocabulary", spec.vocab},
                            {"positions", spec.max_positions()}}
                           .dump(2));
    return;
  }
  const Family& family = family_named(spec.family, config.where());
  fmt::print("{}: {} ({}), a {}\n\n", options.directory, family.name, family.paper, name_of(spec.task));
  fmt::print("{}\n", description.drawing);
  fmt::print("parameters {:>16}\n", short_count(static_cast<double>(description.parameters)));
  for (const auto& [name, count] : description.parts)
    fmt::print("  {:<12} {:>12}  {:>4.1f} %\n", name, short_count(static_cast<double>(count)),
               100.0 * static_cast<double>(count) / static_cast<double>(description.parameters));
  const double parameters = static_cast<double>(description.parameters);
  fmt::print("in memory    f32 {}, bf16 {}\n", short_quantity(4 * parameters, "B"),
             short_quantity(2 * parameters, "B"));
  print_types(options.directory);
  fmt::print("key/value cache of a token: f32 {}, bf16 {}\n",
             short_quantity(description.cache_numbers_per_token * 4, "B"),
             short_quantity(description.cache_numbers_per_token * 2, "B"));
}

}  // namespace

void add_info(CLI::App& app) {
  CLI::App* command = app.add_subcommand("info", "show a model's architecture and size");
  command->group("Models");
  auto options = std::make_shared<InfoCommand>();
  command->add_option("directory", options->directory, "a Hugging Face model directory, or a GGUF file")
      ->type_name("MODEL");
  command->add_flag("--families", options->families, "list the families of models that qkv knows");
  command->add_flag("--markdown", options->markdown, "print the families as docs/families.md has them");
  command->add_option("--golden", options->golden, "with --markdown: measure the errors on the cases in this folder")
      ->type_name("DIR");
  command->add_flag("--devices", options->devices, "list this machine's devices and their kernels");
  command->add_flag("--json", options->json, "print JSON");
  command->footer("Examples:\n  qkv info runs/demo\n  qkv info --families");
  command->callback([options] {
    if (options->families && options->markdown) {
      fmt::print("{}", families_markdown(golden_errors(options->golden)));
    } else if (options->families) {
      print_families();
    }
    if (options->devices) print_devices();
    if (!options->directory.empty()) print_model(*options);
    if (!options->families && !options->devices && options->directory.empty())
      throw Error("info", "what about?", "qkv info DIRECTORY, qkv info --families or qkv info --devices");
  });
}

}  // namespace qkv
