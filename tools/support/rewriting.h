// What the verbs that write a text out of a text share.
#pragma once

#include "qkv/tasks/text_to_text.h"
#include "tools/support/constraint_options.h"
#include "tools/support/task_run.h"

namespace qkv {

struct RewritingCommand : TaskCommand {
  std::string text;
  std::string prefix, from, to;
  GenerationOptions generation;  // those given count
  std::string early_stopping = "no";
  ConstraintOptions constraints;
};

// A task command with a text and the options of generation.
CLI::App* add_rewriting_command(CLI::App& app, const char* name, const char* about, RewritingCommand& options);

// Runs it. `task`: TextToTextOptions::task; `field`: of the result lines ("translation_text").
void run_rewriting(CLI::App& command, RewritingCommand& options, const std::string& task, const std::string& field);

}  // namespace qkv
