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

struct Options {
  std::vector<std::string> text;
  std::string out = "runs/demo";
  int64_t steps = 500;
};

// The project's own sources and pages.
std::vector<std::string> own_text() {
  const fs::path root = QKV_SOURCE_DIR;
  std::vector<std::string> folders;
  for (const char* name : {"qkv", "tools", "docs"})
    if (fs::is_directory(root / name)) folders.push_back((root / name).string());
  if (folders.empty())
    throw Error("demo", "the project's sources are not where this program was built", "name a text: qkv demo PATH");
  return folders;
}

void write_sample(const std::string& directory) {
  const LoadedModel loaded = load_model(directory, {.in_place = true});
  const Tokenizer tokenizer = Tokenizer::load(directory);
  const SpecialTokens& special = tokenizer.special();
  StreamDecoder decoder(tokenizer);
  const auto print = [](const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  };
  fmt::print("\nA sample:\n\n");
  Generator generator(*loaded.model, DType::f32);
  GenerationOptions options{.max_new_tokens = 200, .sample = true, .temperature = 0.8F, .top_k = 50, .seed = 1};
  generator.generate({{special.eos.value_or(0)}}, options, [&](size_t, int32_t token) {
    print(decoder.push(token));
    return true;
  });
  print(decoder.finish() + "\n");
}

void demo(const Options& options) {
  if (fs::exists(fs::path(options.out) / "state"))
    fs::remove_all(options.out);  // a demo starts anew; it holds nothing else
  TrainRun run;
  run.text = options.text.empty() ? own_text() : options.text;
  run.out = options.out;
  run.vocab_size = 1024;
  run.sizes = {.context = 128, .layers = 4, .heads = 4, .width = 192};
  run.batch = 8;
  run.rates.peak = 2e-3;
  run.rates.lowest = 2e-4;
  run.rates.warmup = 50;
  run.options.steps = options.steps;
  run.options.eval_every = std::max<int64_t>(1, options.steps / 5);
  run.eval_batches = 20;
  const TrainResult result = run_training(run, "");
  if (result.interrupted) throw CLI::RuntimeError(130);
  write_sample(options.out);
  fmt::print(
      "\nThe model is in {0} (a Hugging Face directory); its loss curves are in {0}/report.html.\nNext:\n"
      "  build/qkv generate {0} --prompt \"The tensor\"\n  build/qkv info {0}\n  build/qkv train YOUR.txt --out "
      "runs/mine    (qkv train --help)\n",
      options.out);
}

}  // namespace

void add_demo(CLI::App& app) {
  CLI::App* command = app.add_subcommand("demo", "train a small GPT for a minute and let it write");
  auto options = std::make_shared<Options>();
  command->add_option("text", options->text, "files or folders to learn from (default: this project's own sources)")
      ->type_name("PATH");
  command->add_option("--out", options->out, "directory of the run; an earlier demo there is replaced")
      ->capture_default_str();
  command->add_option("--steps", options->steps, "training steps")->capture_default_str()->check(CLI::PositiveNumber);
  add_threads_option(*command);
  command->footer("Example:\n  qkv demo\n  qkv demo my-notes/");
  command->callback([options] { demo(*options); });
}

}  // namespace qkv
