// qkv demo: the whole path in about a minute, on text that is always there.
#include "qkv/core/error.h"
#include "qkv/generate/generator.h"
#include "qkv/io/hugging_face.h"
#include "qkv/text/tokenizer.h"
#include "tools/commands.h"
#include "tools/support/train_run.h"

#include <fmt/format.h>

#include <cstdio>

namespace qkv {
namespace {

struct DemoCommand {
  std::vector<std::string> text;
  std::string out = "runs/demo";
  double seconds = 45;
  int64_t steps = 0;
};

// The project's own pages and sources.
std::vector<std::string> own_text() {
  const fs::path root = QKV_SOURCE_DIR;
  std::vector<std::string> names;
  for (const char* name : {"README.md", "docs", "qkv", "bench", "tests/*/*.cpp", "examples", "tools"})
    if (fs::exists(root / fs::path(name).begin()->string())) names.push_back((root / name).string());
  if (!fs::is_directory(root / "qkv"))
    throw Error("demo", "the project's sources are not where this program was built", "name a text: qkv demo PATH");
  return names;
}

// Without a prompt the model starts where a text starts.
void write_sample(const std::string& directory, const std::string& prompt) {
  const LoadedModel loaded = load_model(directory, {.in_place = true});
  const Tokenizer tokenizer = Tokenizer::load(directory);
  const SpecialTokens& special = tokenizer.special();
  StreamDecoder decoder(tokenizer);
  const auto print = [](const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  };
  fmt::print("\nWhat it writes now:\n\n");
  std::fflush(stdout);
  Generator generator(*loaded.model, DType::f32);
  GenerationOptions options{.max_new_tokens = 200, .sample = true, .temperature = 0.7F, .top_k = 50, .seed = 1};
  std::vector<int32_t> ids = tokenizer.encode_ids(prompt, {.add_special_tokens = false});
  if (ids.empty()) ids.push_back(special.eos.value_or(0));
  print(prompt);
  generator.generate({ids}, options, [&](size_t, int32_t token) {
    print(decoder.push(token));
    return true;
  });
  print(decoder.finish() + "\n");
}

void demo(const DemoCommand& options) {
  if (fs::exists(fs::path(options.out) / "state"))
    fs::remove_all(options.out);  // a demo starts anew; it holds nothing else
  TrainRun run;
  run.text = options.text.empty() ? own_text() : options.text;
  run.out = options.out;
  run.vocab_size = 1024;
  run.sizes = {.context = 128, .layers = 4, .heads = 4, .width = 192};
  run.init_std = 0.04;
  run.batch = 8;
  run.rates.peak = 2e-3;
  run.rates.lowest = 2e-4;
  run.rates.warmup = 50;
  run.options.steps = options.steps;
  run.options.eval_every = (options.steps + 7) / 8;
  run.seconds = options.steps > 0 ? 0 : options.seconds;
  run.eval_batches = 20;
  const TrainResult result = run_training(run, "");
  if (result.interrupted) throw CLI::RuntimeError(130);
  write_sample(options.out, options.text.empty() ? "Tensor " : "");
  fmt::print(
      "\n{0} is now a Hugging Face model directory. Look at its loss curves in {0}/report.html, or go on:\n\n"
      "  build/qkv generate {0} --prompt \"The tensor\"      let it write\n"
      "  build/qkv info {0}                               see its architecture\n"
      "  build/qkv train YOUR.txt --out runs/mine              train on a text of yours\n",
      options.out);
}

}  // namespace

void add_demo(CLI::App& app) {
  CLI::App* command = app.add_subcommand("demo", "train a small GPT for a minute and let it write");
  command->group("Start here");
  auto options = std::make_shared<DemoCommand>();
  command->add_option("text", options->text, "files or folders to learn from (default: this project's own sources)")
      ->type_name("PATH");
  command->add_option("--out", options->out, "directory of the run; an earlier demo there is replaced")
      ->capture_default_str();
  command->add_option("--seconds", options->seconds, "train for about so long")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--steps", options->steps, "train for exactly so many steps instead")->check(CLI::PositiveNumber);
  add_threads_option(*command);
  add_device_option(*command);
  command->footer("Examples:\n  qkv demo\n  qkv demo my-notes/");
  command->callback([options] { demo(*options); });
}

}  // namespace qkv
