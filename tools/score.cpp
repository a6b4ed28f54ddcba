// qkv score MODEL: how well a language model predicts a text.
#include "qkv/tasks/score.h"
#include "tools/support/checks.h"
#include "tools/support/task_run.h"

#include <fmt/format.h>

#include <cmath>

namespace qkv {
namespace {

struct ScoreCommand : TaskCommand {
  std::string text, document;
  ScoreOptions score;
  bool tokens = false;
};

using Ids = std::vector<int32_t>;

Json to_json(const Tokenizer& tokenizer, const TextScore& score, bool with_tokens) {
  Json line = {{"perplexity", score.perplexity()},
               {"log_probability", score.total()},
               {"tokens", score.ids.size()},
               {"scored", score.log_probabilities.size()}};
  if (!with_tokens) return line;
  line["ids"] = score.ids;
  line["log_probabilities"] = Json::array({nullptr});  // nothing stands before the first
  for (const float x : score.log_probabilities) line["log_probabilities"].push_back(x);
  line["pieces"] = Json::array();
  for (const int32_t id : score.ids) line["pieces"].push_back(tokenizer.token(id));
  return line;
}

void run_score(CLI::App& command, ScoreCommand& options) {
  TaskRun run(command, options, "scoring");
  if (!options.document.empty()) options.text = read_file(options.document);
  const Scorer scorer(options.directory, run.options(), options.score);
  double total = 0;
  int64_t scored = 0;
  Json given = {{"text", options.text}};
  if (!options.document.empty()) given = {{"file", options.document}};
  const bool with_tokens = options.tokens || (options.json && options.input.empty());
  run(given,
      TaskJob<Ids, TextScore>{
          .prepare =
              [&](const Json& fields) {
                return scorer.ids(fields.contains("file") && !options.document.empty() ? options.text
                                                                                       : field_of(fields, "text"));
              },
          .run =
              [&](std::span<const Ids> texts) {
                std::vector<TextScore> results = scorer.score(texts);
                for (const TextScore& score : results) {
                  total += score.total();
                  scored += std::ssize(score.log_probabilities);
                }
                return results;
              },
          .fields = [&](const Ids&,
                        const TextScore& score) { return to_json(scorer.base().tokenizer(), score, with_tokens); },
          .print =
              [](const Json&, const Ids&, const TextScore& score) {
                fmt::print(
                    "perplexity       {:.4f}\nlog probability  {:.4f}\ntokens           {}, of which {} scored\n",
                    score.perplexity(), score.total(), score.ids.size(), score.log_probabilities.size());
              }});
  if (!options.input.empty() && scored > 0 && !options.quiet)
    fmt::print(stderr, "perplexity {:.4f} over {} tokens\n", std::exp(-total / static_cast<double>(scored)), scored);
}

}  // namespace

void add_score(CLI::App& app) {
  auto o = std::make_shared<ScoreCommand>();
  CLI::App* command = add_task_command(app, "score", "tell how well a language model predicts a text", *o,
                                       R"(text lines, {"text": ...})");
  command->add_option("text", o->text, "the text");
  command->add_option("--document", o->document, "a whole file as the text")->type_name("FILE");
  command
      ->add_option("--stride", o->score.stride,
                   "read a long text in windows that begin so many tokens apart; each token is scored once")
      ->check(at_least(1));
  command
      ->add_option("--segment", o->score.segment,
                   "a model that remembers (Transformer-XL, XLNet) reads so many tokens at a time; default: as many as "
                   "it remembers")
      ->check(at_least(1));
  command->add_flag("--bos", o->score.start, "put the beginning-of-text token first, so that all tokens are scored");
  command->add_flag("--tokens", o->tokens, "result lines hold the log probability of each token");
  add_truncate_option(*command, *o);
  command->footer(
      "Examples:\n  qkv score models/gpt2 \"To be, or not to be\" --json\n"
      "  qkv score models/gpt2 --document book.txt --stride 512\n"
      "  qkv score models/transfo-xl-wt103 --document book.txt --segment 128\n"
      "  qkv score models/gpt2 --input lines.txt --output scores.jsonl");
  command->callback([command, o] { run_score(*command, *o); });
}

}  // namespace qkv
