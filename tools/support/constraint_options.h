// The options of verbs that write text: what must and must not be in it.
#pragma once

#include "qkv/generate/constraints.h"
#include "tools/commands.h"

namespace qkv {

struct ConstraintOptions {
  Constraints given;
  std::string only_file, grammar_file;
};

void add_constraint_options(CLI::App& command, ConstraintOptions& options);

// --grammar alone, for verbs that take none of the others.
void add_grammar_option(CLI::App& command, ConstraintOptions& options, const std::string& group = "");

// Those given, with the lines of --only-file and the text of --grammar.
Constraints read_constraints(const ConstraintOptions& options);

}  // namespace qkv
