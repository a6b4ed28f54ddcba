// qkv tokenizer train: a tokenizer from text files.
#include "qkv/core/error.h"
#include "qkv/text/train.h"
#include "qkv/text/unicode.h"
#include "tools/commands.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>

#include <unistd.h>

namespace qkv {
namespace {

struct TokenizerCommand {
  std::string kind = "bpe";
  std::vector<std::string> files;
  std::string out;
  TrainOptions train;
};

// One line that is rewritten on a terminal; elsewhere a line whenever a stage is done.
void print_progress(std::string_view stage, int64_t done, int64_t total) {
  static const bool terminal = isatty(STDERR_FILENO) != 0;
  if (terminal && (done % 256 == 0 || done == total)) fmt::print(stderr, "\r{}: {} of {} ", stage, done, total);
  if (done == total) fmt::print(stderr, "{}{}: done\n", terminal ? "\r" : "", stage);
}

void train(const TokenizerCommand& options) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<MappedFile> files;
  std::vector<std::string_view> texts;
  for (const std::string& path : options.files) {
    files.emplace_back(path);
    require_utf8(files.back().text(), path);
    texts.push_back(files.back().text());
  }
  if (texts.empty() && options.kind != "byte")
    throw Error("tokenizer train", "no text to train on", "name files, or choose --kind byte, which needs none");
  const Tokenizer tokenizer = options.kind == "bpe"         ? train_bpe(texts, options.train)
                              : options.kind == "wordpiece" ? train_wordpiece(texts, options.train)
                              : options.kind == "unigram"   ? train_unigram(texts, options.train)
                              : options.kind == "char"      ? train_characters(texts, options.train)
                                                            : byte_tokenizer(options.train);
  tokenizer.save(options.out);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  fmt::print(stderr, "{} tokens in {:.2f} s, written to {}\n", tokenizer.vocab_size(), seconds, options.out);
}

}  // namespace

void add_tokenizer(CLI::App& app) {
  CLI::App* command = app.add_subcommand("tokenizer", "make tokenizers");
  command->group("Text");
  command->require_subcommand(1);
  CLI::App* training = command->add_subcommand("train", "make a tokenizer from text files");
  auto options = std::make_shared<TokenizerCommand>();
  options->train.progress = print_progress;
  training->add_option("files", options->files, "UTF-8 text")->check(CLI::ExistingFile)->type_name("FILE");
  training
      ->add_option(
          "--kind", options->kind,
          "bpe (byte-level), wordpiece (BERT's), unigram (SentencePiece's), char (a token a character) or byte")
      ->capture_default_str()
      ->check(CLI::IsMember({"bpe", "wordpiece", "unigram", "char", "byte"}));
  training->add_option("--vocab-size", options->train.vocab_size, "bpe, wordpiece, unigram: how many tokens")
      ->capture_default_str();
  training
      ->add_option("--min-frequency", options->train.min_frequency, "bpe, wordpiece: merge only pairs seen so often")
      ->capture_default_str();
  training->add_flag("--cased{false}", options->train.lowercase, "wordpiece: keep capitals and accents");
  CLI::Option* special = training
                             ->add_option("--special", options->train.special_tokens,
                                          "a special token (repeatable); the first ends a text")
                             ->allow_extra_args(false)
                             ->capture_default_str();
  training->add_option("--out", options->out, "directory for tokenizer.json and tokenizer_config.json")
      ->type_name("DIR")
      ->required();
  add_threads_option(*training);
  const char* example = "Example:\n  qkv tokenizer train --kind bpe --vocab-size 8000 --out runs/tokenizer book.txt";
  training->footer(example);
  command->footer(example);
  training->callback([options, special] {
    if (options->kind == "wordpiece" && special->count() == 0)
      options->train.special_tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    train(*options);
  });
}

}  // namespace qkv
