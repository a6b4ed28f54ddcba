#include "tools/support/constraint_options.h"

#include "qkv/core/error.h"
#include "qkv/core/files.h"
#include "qkv/text/token_files.h"

namespace qkv {

void add_constraint_options(CLI::App& command, ConstraintOptions& options) {
  const std::string group = "What must and must not be written";
  const auto several = [&](const char* name, std::vector<std::string>& value, const char* help) {
    command.add_option(name, value, help)
        ->type_name("TEXT")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->group(group);
  };
  several("--bad-word", options.given.bad_words,
          "never this, as it stands or behind a space; may be given several times");
  several("--only", options.given.only, "nothing but this text, or another one that is given so");
  command.add_option("--only-file", options.only_file, "nothing but one of the lines of this file")
      ->type_name("FILE")
      ->group(group);
  add_grammar_option(command, options, group);
  command.add_option("--forced-first", options.given.forced_first, "the first new token, by its spelling or id")
      ->type_name("TOKEN")
      ->group(group);
  command
      .add_option("--forced-last", options.given.forced_last, "the token at --max-new-tokens, by its spelling or id")
      ->type_name("TOKEN")
      ->group(group);
}

void add_grammar_option(CLI::App& command, ConstraintOptions& options, const std::string& group) {
  CLI::Option* option = command
                            .add_option("--grammar", options.grammar_file,
                                        "nothing but what this grammar says, written in GBNF as llama.cpp has it")
                            ->type_name("FILE");
  if (!group.empty()) option->group(group);
}

Constraints read_constraints(const ConstraintOptions& options) {
  Constraints constraints = options.given;
  if (!options.grammar_file.empty()) {
    constraints.grammar = read_file(options.grammar_file, 1 << 20);
    if (constraints.grammar.empty()) throw Error(options.grammar_file, "is empty", "give at least a rule 'root'");
  }
  if (options.only_file.empty()) return constraints;
  for (std::string& line : read_lines(options.only_file))
    if (!line.empty()) constraints.only.push_back(std::move(line));
  if (constraints.only.empty()) throw Error(options.only_file, "has no lines", "give one text a line");
  return constraints;
}

}  // namespace qkv
