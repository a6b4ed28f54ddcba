// The options of verbs that write text: what must and must not be in it.
#pragma once

#include "qkv/generate/constraints.h"
#include "tools/commands.h"

namespace qkv {

struct ConstraintOptions {
  Constraints given;
  std::string only_file;
};

void add_constraint_options(CLI::App& command, ConstraintOptions& options);

// Those given, with the lines of --only-file.
Constraints read_constraints(const ConstraintOptions& options);

}  // namespace qkv
