// qkv convert SOURCE DEST: a model directory in another format, element type or shard size.
#include "qkv/io/convert_gguf.h"
#include "qkv/io/gguf.h"

#include "qkv/core/error.h"
#include "qkv/core/json.h"
#include "qkv/core/progress.h"
#include "tools/commands.h"
#include "tools/support/signals.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <limits>

namespace qkv {
namespace {

constexpr uint64_t worth_a_bar = 200'000'000;  // less is done in an instant

struct ConvertCommand {
  std::string source, destination;
  std::string to;  // empty: as the destination's name says
  std::string dtype = "keep";
  std::string max_shard_size = "5GB";
  bool shards_asked = false;
  bool force = false;
  bool json = false;
  bool quiet = false;
};

// "5GB", "300MB", "1GiB", "123456" (bytes), "none".
uint64_t parse_size(const std::string& text) {
  constexpr std::pair<std::string_view, uint64_t> units[] = {
      {"", 1},          {"B", 1},         {"KB", 1'000},   {"MB", 1'000'000}, {"GB", 1'000'000'000},
      {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
  if (text == "none") return std::numeric_limits<uint64_t>::max();
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, code] = std::from_chars(text.data(), end, number);
  const std::string_view unit(stopped, static_cast<size_t>(end - stopped));
  for (const auto& [name, factor] : units)
    if (code == std::errc() && name == unit && number > 0 && !__builtin_mul_overflow(number, factor, &number))
      return number;
  throw Error("--max-shard-size", fmt::format("'{}' is not a size", text), "such as 5GB, 300MB, 1GiB or none");
}

// The format that is asked for; a name that ends in .gguf asks for GGUF.
std::string format_of(const ConvertCommand& options) {
  const bool named_gguf = fs::path(options.destination).extension() == ".gguf";
  if (options.to.empty()) return named_gguf ? "gguf" : "safetensors";
  if (named_gguf && options.to != "gguf")
    throw Error(
        "--to",
        fmt::format("{} is the format of a directory, and {} names a GGUF file", options.to, options.destination),
        "name a directory, or leave --to out");
  return options.to;
}

// By where from and where to.
ConvertReport converted(const ConvertCommand& options, bool to_gguf, const ConvertOptions& how) {
  if (!to_gguf && is_gguf(options.source)) return convert_from_gguf(options.source, options.destination, how);
  if (!to_gguf) return convert_checkpoint(options.source, options.destination, how);
  return convert_to_gguf(options.source, options.destination,
                         {.mix = options.dtype == "keep" ? "f32" : options.dtype,
                          .importance = {},
                          .overwrite = options.force,
                          .progress = how.progress});
}

void convert(const ConvertCommand& options) {
  const std::string format = format_of(options);
  if (format == "gguf" && options.shards_asked && options.max_shard_size != "none")
    throw Error("--max-shard-size", "GGUF is written as one file", "leave it out");
  ConvertOptions how{.format = format == "bin" ? WeightFormat::torch : WeightFormat::safetensors,
                     .dtype = {},
                     .max_shard_bytes = parse_size(options.max_shard_size),
                     .overwrite = options.force,
                     .progress = {}};
  if (options.dtype != "keep") how.dtype = dtype_named(options.dtype);
  const std::atomic<bool>& stop = stop_requested();
  std::optional<Progress> progress;
  how.progress = [&](uint64_t done, uint64_t total) {
    if (stop)
      throw Error(options.destination, "stopped before it was complete; nothing was replaced by halves",
                  "run the same command again");
    if (options.quiet || total < worth_a_bar) return;
    if (!progress) progress.emplace("converting", static_cast<int64_t>(total), "bytes");
    progress->update(static_cast<int64_t>(done));
  };
  const ConvertReport report = converted(options, format == "gguf", how);
  progress.reset();
  if (options.json) {
    fmt::print("{}\n", Json{{"source", options.source},
                            {"destination", options.destination},
                            {"format", format},
                            {"dtype", options.dtype},
                            {"tensors", report.tensors},
                            {"bytes", report.bytes},
                            {"copied", report.copied}}
                           .dump(2));
  } else if (!options.quiet) {
    fmt::print(stderr, "{} tensors, {}, and {} other files in {}\n", report.tensors,
               short_quantity(static_cast<double>(report.bytes), "B"), report.copied.size() + 1, options.destination);
  }
}

}  // namespace

void add_convert(CLI::App& app) {
  CLI::App* command = app.add_subcommand("convert", "write a model in another format, type or shard size");
  command->group("Models");
  auto options = std::make_shared<ConvertCommand>();
  command
      ->add_option("source", options->source,
                   "a model directory (safetensors, pytorch_model.bin or a TensorFlow release), or a GGUF file")
      ->required()
      ->type_name("SOURCE");
  command->add_option("destination", options->destination, "the directory to write, or a file that ends in .gguf")
      ->required()
      ->type_name("DEST");
  command->add_option("--to", options->to, "the format of the weights: safetensors, unless DEST ends in .gguf")
      ->check(CLI::IsMember({"safetensors", "bin", "gguf"}));
  command->add_option("--dtype", options->dtype, "the type of all floats")
      ->capture_default_str()
      ->check(CLI::IsMember({"keep", "f32", "bf16", "f16"}));
  const CLI::Option* shards =
      command->add_option("--max-shard-size", options->max_shard_size, "the most bytes of tensors in one file, or none")
          ->capture_default_str()
          ->type_name("SIZE");
  command->add_flag("--force", options->force, "replace a model that is there");
  command->add_flag("--json", options->json, "print what was done as JSON");
  command->add_flag("--quiet", options->quiet, "no progress");
  command->footer(
      "Tokenizer files, configurations and the model's card go along.\n\nExamples:\n"
      "  qkv convert bert-base-uncased bert-safe\n"
      "  qkv convert runs/book book-half --dtype bf16 --max-shard-size 2GB\n"
      "  qkv convert gpt2 gpt2-old --to bin\n"
      "  qkv convert gpt2 gpt2.gguf --dtype f16\n"
      "  qkv convert llama-q4.gguf llama");
  command->callback([options, shards] {
    options->shards_asked = shards->count() > 0;
    convert(*options);
  });
}

}  // namespace qkv
