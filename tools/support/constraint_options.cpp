#include "tools/support/constraint_options.h"

#include "qkv/core/error.h"
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
  command.add_option("--forced-first", options.given.forced_first, "the first new token, by its spelling or id")
      ->type_name("TOKEN")
      ->group(group);
  command
      .add_option("--forced-last", options.given.forced_last, "the token at --max-new-tokens, by its spelling or id")
      ->type_name("TOKEN")
      ->group(group);
}

Constraints read_constraints(const ConstraintOptions& options) {
  Constraints constraints = options.given;
  if (options.only_file.empty()) return constraints;
  for (std::string& line : read_lines(options.only_file))
    if (!line.empty()) constraints.only.push_back(std::move(line));
  if (constraints.only.empty()) throw Error(options.only_file, "has no lines", "give one text a line");
  return constraints;
}

}  // namespace qkv
