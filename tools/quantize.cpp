// qkv quantize MODEL: a model in fewer bits, as a GGUF file or a directory with one, and what that cost.
#include "qkv/core/error.h"
#include "qkv/core/json.h"
#include "qkv/core/progress.h"
#include "qkv/io/checkpoint.h"
#include "qkv/io/convert_gguf.h"
#include "qkv/io/gguf.h"
#include "qkv/tasks/calibrate.h"
#include "qkv/tasks/compare_models.h"
#include "tools/commands.h"
#include "tools/support/checks.h"
#include "tools/support/signals.h"

#include <fmt/format.h>

#include <cstdio>

namespace qkv {
namespace {

struct QuantizeCommand {
  std::string source, out, text, calibrate;
  std::string type = "q4_k_m";
  int64_t tokens = 4096;
  bool force = false;
  bool json = false;
  bool quiet = false;
};

// Of the weights that are read, whatever else lies beside them.
uint64_t size_of_weights(const fs::path& model) {
  if (const std::optional<fs::path> file = gguf_file(model)) return fs::file_size(*file);
  const Checkpoint checkpoint(model);
  uint64_t bytes = 0;
  for (const std::string& name : checkpoint.names())
    bytes += static_cast<uint64_t>(bytes_of(checkpoint.dtype(name), checkpoint.shape(name).numel()));
  return bytes;
}

// `ids`: to compare on.
Json report_of(const QuantizeCommand& options, int64_t tensors, std::span<const int32_t> ids) {
  Json report = {{"source", options.source},
                 {"file", options.out},
                 {"type", options.type},
                 {"tensors", tensors},
                 {"bytes_before", size_of_weights(options.source)},
                 {"bytes_after", size_of_weights(options.out)}};
  if (ids.empty()) return report;
  const ModelDifference difference = compare_models(TextModel(options.source), TextModel(options.out), ids);
  report.update({{"tokens", difference.tokens},
                 {"perplexity_before", difference.perplexity_before},
                 {"perplexity_after", difference.perplexity_after},
                 {"kl_divergence", difference.divergence},
                 {"top_1_agreement", difference.agreement}});
  return report;
}

void print(const Json& report) {
  const double before = report["bytes_before"], after = report["bytes_after"];
  fmt::print("size          {} -> {} ({:.1f} %)\n", short_quantity(before, "B"), short_quantity(after, "B"),
             100 * after / before);
  if (!report.contains("tokens")) return;
  fmt::print("perplexity    {:.4f} -> {:.4f} over {} tokens\n", report["perplexity_before"].get<double>(),
             report["perplexity_after"].get<double>(), report["tokens"].get<int64_t>());
  fmt::print("divergence    {:.6f} nats a token (KL, before || after)\n", report["kl_divergence"].get<double>());
  fmt::print("top-1         {:.2f} % the same token\n", 100 * report["top_1_agreement"].get<double>());
}

void quantize(const QuantizeCommand& options) {
  if (fs::exists(options.out) && fs::equivalent(options.source, options.out))
    throw Error("--out", fmt::format("'{}' is the model that is read", options.out), "give another name");
  QuantizeOptions how{.mix = options.type, .importance = {}, .overwrite = options.force, .progress = {}};
  // What cannot be compared is refused before anything is written.
  std::vector<int32_t> ids;
  if (!options.text.empty())
    ids = ids_to_compare_on(TextModel(options.source), read_file(options.text), options.tokens);
  std::map<std::string, Tensor> squares;
  Spec spec;
  if (!options.calibrate.empty()) {
    const TextModel model(options.source);
    spec = model.model().spec();
    squares = input_squares(model, read_file(options.calibrate), options.tokens);
    how.importance = [&](const std::string& name) {
      const auto found = squares.find(tap_of_gguf_tensor(spec, name));
      return found == squares.end() ? Tensor() : found->second;
    };
  }
  const std::atomic<bool>& stop = stop_requested();
  std::optional<Progress> progress;
  how.progress = [&](uint64_t done, uint64_t total) {
    if (stop) throw Error(options.out, "stopped before it was complete; nothing was written", "run the command again");
    if (options.quiet) return;
    if (!progress) progress.emplace("quantising", static_cast<int64_t>(total), "bytes");
    progress->update(static_cast<int64_t>(done));
  };
  const bool one_file = fs::path(options.out).extension() == ".gguf";
  const ConvertReport done = one_file ? convert_to_gguf(options.source, options.out, how)
                                      : convert_to_gguf_directory(options.source, options.out, how);
  progress.reset();
  const Json report = report_of(options, static_cast<int64_t>(done.tensors), ids);
  if (options.json) {
    fmt::print("{}\n", report.dump(2));
  } else {
    print(report);
  }
}

}  // namespace

void add_quantize(CLI::App& app) {
  CLI::App* command = app.add_subcommand("quantize", "write a model in fewer bits, as GGUF");
  command->group("Models");
  auto o = std::make_shared<QuantizeCommand>();
  command->add_option("model", o->source, "a model directory, or a GGUF file")->required()->type_name("MODEL");
  command
      ->add_option("-o,--out", o->out,
                   "the file to write; a name without .gguf: a Hugging Face directory with model.gguf in it")
      ->required()
      ->type_name("OUT");
  std::vector<std::string> types;
  for (const GgufMix& mix : gguf_mixes()) types.emplace_back(mix.name);
  command->add_option("--type", o->type, "the mix of types, by llama.cpp's names")
      ->capture_default_str()
      ->check(CLI::IsMember(types));
  command->add_option("--calibrate", o->calibrate, "weigh errors by what the inputs are on this text")
      ->type_name("FILE");
  command->add_option("--text", o->text, "compare both models on this text")->type_name("FILE");
  command->add_option("--tokens", o->tokens, "read at most so many tokens of each text")
      ->capture_default_str()
      ->check(at_least(2));
  command->add_flag("--force", o->force, "replace a model that is there");
  command->add_flag("--json", o->json, "print the report as JSON");
  command->add_flag("-q,--quiet", o->quiet, "no progress");
  add_threads_option(*command);
  command->footer(
      "Examples:\n  qkv quantize models/gpt2 --out gpt2-q4.gguf --text book.txt\n"
      "  qkv quantize models/llama --type q5_k_m --calibrate book.txt --out llama-q5.gguf\n"
      "  qkv quantize models/llama --type q8_0 --out llama-q8");
  command->callback([o] { quantize(*o); });
}

}  // namespace qkv
