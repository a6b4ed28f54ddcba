#include "tools/support/rewriting.h"

#include "tools/support/checks.h"

#include <fmt/format.h>

namespace qkv {

CLI::App* add_rewriting_command(CLI::App& app, const char* name, const char* about, RewritingCommand& o) {
  CLI::App* command = add_task_command(app, name, about, o, R"(text lines, {"text": ...})");
  command->add_option("text", o.text, "the text");
  add_truncate_option(*command, o);
  const std::string group = "Writing (default: as the checkpoint says)";
  GenerationOptions& g = o.generation;
  command->add_option("--prefix", o.prefix, "what the model is told before each text, such as 'summarize: '")
      ->group(group);
  command->add_option("-n,--max-new-tokens", g.max_new_tokens, "write at most so many tokens")
      ->check(at_least(1))
      ->group(group);
  command->add_option("--min-new-tokens", g.min_new_tokens, "do not end before so many")
      ->check(at_least(0))
      ->group(group);
  command->add_option("--beams", g.num_beams, "search with so many beams; 1: the likeliest token each time")
      ->check(at_least(1))
      ->group(group);
  command->add_option("--beam-groups", g.num_beam_groups, "groups of beams that shun each other's tokens")
      ->check(at_least(1))
      ->group(group);
  command
      ->add_option("--diversity-penalty", g.diversity_penalty, "by how much a token's score falls for each such beam")
      ->group(group);
  command->add_option("--penalty-alpha", g.penalty_alpha, "above 0: contrastive search among --top-k tokens")
      ->group(group);
  command->add_option("--top-k", g.top_k, "of contrastive search")->check(at_least(2))->group(group);
  command->add_option("--return-sequences", g.num_return_sequences, "so many results of each text")
      ->check(at_least(1))
      ->group(group);
  command->add_option("--length-penalty", g.length_penalty, "above 0 longer, below 0 shorter")->group(group);
  command->add_option("--no-repeat-ngram", g.no_repeat_ngram_size, "no n tokens twice")
      ->check(at_least(0))
      ->group(group);
  command->add_option("--early-stopping", o.early_stopping, "when a search of beams ends")
      ->check(CLI::IsMember({"no", "yes", "never"}))
      ->group(group);
  add_constraint_options(*command, o.constraints);
  return command;
}

void run_rewriting(CLI::App& command, RewritingCommand& o, const std::string& task, const std::string& field) {
  TaskRun run(command, o, command.get_name() == "translate" ? "translating" : "summarizing");
  const auto given = [&](const char* name) { return command.get_option(name)->count() > 0; };
  TextToTextOptions rewriting{.task = task, .from = o.from, .to = o.to};
  if (given("--prefix")) rewriting.prefix = o.prefix;
  rewriting.constraints = read_constraints(o.constraints);
  rewriting.change = [&](GenerationOptions& g) {
    const GenerationOptions& from = o.generation;
    if (given("--max-new-tokens")) {
      g.max_new_tokens = from.max_new_tokens;
      g.min_new_tokens = std::min(g.min_new_tokens, g.max_new_tokens);
    }
    if (given("--min-new-tokens")) g.min_new_tokens = from.min_new_tokens;
    if (given("--beams")) g.num_beams = from.num_beams;
    if (given("--beam-groups")) g.num_beam_groups = from.num_beam_groups;
    if (given("--diversity-penalty")) g.diversity_penalty = from.diversity_penalty;
    if (given("--penalty-alpha")) {
      g.penalty_alpha = from.penalty_alpha;
      if (!given("--beams")) g.num_beams = 1;
      if (g.top_k < 2) g.top_k = usual_candidates;
    }
    if (given("--top-k")) g.top_k = from.top_k;
    if (given("--return-sequences")) g.num_return_sequences = from.num_return_sequences;
    if (given("--length-penalty")) g.length_penalty = from.length_penalty;
    if (given("--no-repeat-ngram")) g.no_repeat_ngram_size = from.no_repeat_ngram_size;
    if (given("--early-stopping"))
      g.early_stopping = o.early_stopping == "yes"     ? EarlyStopping::yes
                         : o.early_stopping == "never" ? EarlyStopping::never
                                                       : EarlyStopping::no;
  };
  const TextToText model(o.directory, run.options(), rewriting);
  using Results = std::vector<Rewritten>;
  run({{"text", o.text}},
      TaskJob<Row, Results>{.prepare = [&](const Json& fields) { return model.row(field_of(fields, "text")); },
                            .run = [&](std::span<const Row> rows) { return model.rewrite(rows); },
                            .fields =
                                [&](const Row&, const Results& results) {
                                  Json line = {{field, results[0].text}, {"score", results[0].score}};
                                  for (size_t i = 1; i < results.size(); ++i)
                                    line["others"].push_back({{field, results[i].text}, {"score", results[i].score}});
                                  return line;
                                },
                            .print =
                                [](const Json&, const Row&, const Results& results) {
                                  for (const Rewritten& result : results) fmt::print("{}\n", result.text);
                                }});
}

}  // namespace qkv
