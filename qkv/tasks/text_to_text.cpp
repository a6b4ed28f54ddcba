#include "qkv/tasks/text_to_text.h"

#include "qkv/core/error.h"
#include "qkv/generate/generator.h"
#include "qkv/io/model_source.h"
#include "qkv/tasks/batches.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

namespace qkv {
namespace {

constexpr int64_t usual_length = 256;

// Marian writes with a vocabulary of its own.
Tokenizer target_tokenizer(const fs::path& directory) {
  const fs::path target = directory / "target.spm";
  return fs::exists(target) ? Tokenizer::load(target) : load_tokenizer(directory);
}

// Also the lengths of old configurations, which count the decoder's first token.
void apply(const Config& config, GenerationOptions& options) {
  apply_generation_config(config, options);
  constexpr int64_t most = int64_t{1} << 30;
  if (config.has("max_length") && !config.has("max_new_tokens"))
    options.max_new_tokens = std::max<int64_t>(1, config.integer("max_length", 20, 1, most) - 1);
  if (config.has("min_length") && !config.has("min_new_tokens"))
    options.min_new_tokens = std::max<int64_t>(0, config.integer("min_length", 0, 0, most) - 1);
}

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_letter(char c) { return is_lower(c) || (c >= 'A' && c <= 'Z'); }

// "en_XX", "eng_Latn": a language and a country or script, or "__en__".
bool names_language(std::string_view token) {
  if (token.size() > 4 && token.starts_with("__") && token.ends_with("__"))
    return std::all_of(token.begin() + 2, token.end() - 2, is_lower);
  const size_t mark = token.find('_');
  return (mark == 2 || mark == 3) &&
         std::all_of(token.begin(), token.begin() + static_cast<ptrdiff_t>(mark), is_lower) &&
         (token.size() - mark == 3 || token.size() - mark == 5) &&
         std::all_of(token.begin() + static_cast<ptrdiff_t>(mark) + 1, token.end(), is_letter);
}

}  // namespace

TextToText::TextToText(const fs::path& directory, TaskOptions options, TextToTextOptions rewriting)
    : TextToText(TextModel(directory, std::move(options)), std::move(rewriting)) {}

TextToText::TextToText(TextModel base, TextToTextOptions rewriting)
    : base_(std::move(base)), target_(target_tokenizer(base_.directory())) {
  base_.require("rewriting a text", {Task::sequence_to_sequence}, "an encoder-decoder, such as T5 or Marian");
  generation_.max_new_tokens = usual_length;
  apply(base_.config(), generation_);
  if (const fs::path file = base_.directory() / "generation_config.json"; fs::exists(file)) {
    const std::string where = file.string();
    apply(Config(read_json(where), where), generation_);
  }
  generation_.sample = false;
  if (generation_.end_ids.empty() && target_.special().eos) generation_.end_ids = {*target_.special().eos};
  read_task(rewriting);
  read_languages(rewriting);
  if (rewriting.prefix) prefix_ = *rewriting.prefix;
  if (rewriting.change) rewriting.change(generation_);
  apply_constraints(rewriting.constraints, target_, generation_);
  check_options(generation_);
}

void TextToText::read_task(const TextToTextOptions& rewriting) {
  const Config tasks = base_.config().object("task_specific_params");
  const bool translates = !rewriting.from.empty() && !rewriting.to.empty();
  const std::string task =
      translates ? fmt::format("translation_{}_to_{}", rewriting.from, rewriting.to) : rewriting.task;
  if (task.empty() || !tasks.has(task.c_str())) return;
  const Config settings = tasks.object(task.c_str());
  apply(settings, generation_);
  generation_.sample = false;
  prefix_ = settings.text("prefix", "");
}

void TextToText::read_languages(const TextToTextOptions& rewriting) {
  if (rewriting.from.empty() && rewriting.to.empty()) return;
  const Config tasks = base_.config().object("task_specific_params");
  if (languages().empty()) {
    if (!prefix_.empty() || rewriting.prefix) return;
    std::vector<std::string> pairs;
    for (const auto& [name, settings] : tasks.json().items())
      if (name.starts_with("translation_")) pairs.push_back(name.substr(std::string_view("translation_").size()));
    throw Error("--from, --to",
                pairs.empty() ? "this model names no languages"
                              : fmt::format("this model translates {}", fmt::join(pairs, ", ")),
                pairs.empty() ? "leave them out, or tell the model what to do with --prefix"
                              : "give both, as one of these pairs has them");
  }
  if (!rewriting.from.empty()) source_language_ = language(rewriting.from, "--from");
  if (rewriting.to.empty()) return;
  const int32_t to = language(rewriting.to, "--to");
  // Where a target begins with a language (mBART), it is this one; else it comes first behind the usual beginning.
  const int64_t start = generation_.decoder_start >= 0 ? generation_.decoder_start : base_.model().spec().decoder_start;
  if (start >= 0 && is_language(static_cast<int32_t>(start))) {
    generation_.decoder_start = to;
  } else {
    generation_.forced_first = to;
  }
}

bool TextToText::is_language(int32_t id) const {
  return base_.tokenizer().is_special(id) && names_language(base_.tokenizer().token(id));
}

std::vector<std::string> TextToText::languages() const {
  std::vector<std::string> names;
  for (int64_t id = 0; id < base_.tokenizer().vocab_size(); ++id)
    if (is_language(static_cast<int32_t>(id))) names.push_back(base_.tokenizer().token(static_cast<int32_t>(id)));
  return names;
}

int32_t TextToText::language(const std::string& name, const char* option) const {
  const std::vector<std::string> known = languages();
  for (const std::string& token : known)
    if (token == name || token.starts_with(name + "_") || token == "__" + name + "__")
      return *base_.tokenizer().id(token);
  const std::string close = nearest(name, known);
  throw Error(
      option, fmt::format("the model has no language '{}'", name),
      close.empty() ? fmt::format("it has {}", fmt::join(known, ", ")) : fmt::format("did you mean '{}'?", close));
}

Row TextToText::row(std::string_view text) const {
  if (text.empty()) throw Error("text", "is empty");
  Row row = base_.row(prefix_ + std::string(text));
  if (source_language_)
    for (int32_t& id : row.ids)
      if (is_language(id)) id = *source_language_;
  return row;
}

std::vector<std::vector<Rewritten>> TextToText::rewrite(std::span<const Row> rows) const {
  std::vector<int64_t> lengths;
  for (const Row& row : rows) lengths.push_back(std::ssize(row.ids));
  Generator generator(base_.model(), base_.options().dtype);
  std::vector<std::vector<Rewritten>> results(rows.size());
  int64_t done = 0;
  const int64_t copies = searches_contrastively(generation_) ? generation_.top_k : generation_.num_beams;
  const int64_t tokens = std::max<int64_t>(1, base_.options().batch_tokens / copies);
  for (const std::vector<size_t>& group : batches_by_length(lengths, tokens)) {
    std::vector<std::vector<int32_t>> sources;
    for (const size_t i : group) sources.push_back(rows[i].ids);
    const auto written = generator.generate(sources, generation_);
    for (size_t i = 0; i < group.size(); ++i)
      for (const Continuation& c : written[i]) {
        const double mean = std::accumulate(c.log_probabilities.begin(), c.log_probabilities.end(), 0.0) /
                            static_cast<double>(std::max<size_t>(1, c.ids.size()));
        results[group[i]].push_back({target_.decode(c.ids, true), generation_.num_beams > 1 ? c.score : mean});
      }
    done += std::ssize(group);
    if (base_.options().on_batch) base_.options().on_batch(done, std::ssize(rows));
  }
  return results;
}

std::vector<Rewritten> TextToText::rewrite(std::string_view text) const {
  const Row one = row(text);
  return rewrite(std::span(&one, 1))[0];
}

}  // namespace qkv
