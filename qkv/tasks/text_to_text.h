// Text out of text by an encoder-decoder: translations, summaries.
//
//   const qkv::TextToText translator("models/opus-mt-en-de");
//   std::cout << translator.rewrite("The house is small.")[0].text << '\n';
#pragma once

#include "qkv/generate/constraints.h"
#include "qkv/generate/options.h"
#include "qkv/tasks/text_model.h"

namespace qkv {

struct TextToTextOptions {
  // The entry of config.json's task_specific_params with the settings of generation and the prefix (T5, BART):
  // "summarization"; passed over where a checkpoint has no such entries.
  std::string task;
  std::optional<std::string> prefix;  // before each text, in place of the task's
  // Languages, by the code that a special token (mBART's en_XX, also as "en") or a task (T5's translation_en_to_de)
  // names.
  std::string from, to;
  // Changes what the checkpoint's files say of generation: beams, lengths and so on.
  std::function<void(GenerationOptions&)> change;
  Constraints constraints;  // what must and must not be written
};

struct Rewritten {
  std::string text;
  double score = 0;  // beam search: log probability / length^length_penalty; else the mean log probability of a token
};

class TextToText {
 public:
  // Throws Error for a checkpoint that is no encoder-decoder, and for languages that it does not name.
  explicit TextToText(const fs::path& directory, TaskOptions options = {}, TextToTextOptions rewriting = {});
  explicit TextToText(TextModel base, TextToTextOptions rewriting = {});

  const TextModel& base() const { return base_; }
  const GenerationOptions& generation() const { return generation_; }
  // A text as rewrite() takes it: with its prefix and its language.
  Row row(std::string_view text) const;

  // For each row num_return_sequences texts, best first.
  std::vector<std::vector<Rewritten>> rewrite(std::span<const Row> rows) const;
  std::vector<Rewritten> rewrite(std::string_view text) const;

 private:
  void read_task(const TextToTextOptions& rewriting);
  void read_languages(const TextToTextOptions& rewriting);
  bool is_language(int32_t id) const;
  std::vector<std::string> languages() const;
  int32_t language(const std::string& name, const char* option) const;

  TextModel base_;
  Tokenizer target_;  // of what is written
  GenerationOptions generation_;
  std::string prefix_;
  std::optional<int32_t> source_language_;
};

}  // namespace qkv
