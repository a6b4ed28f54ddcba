// The subcommands. A file tools/NAME.cpp defines `void add_NAME(CLI::App& app)`; CMake lists them, so that adding a
// command is adding a file.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace qkv {

// Lets every option of a command also stand in a TOML file: --config run.toml. Unknown keys are errors.
void allow_config(CLI::App& command);

// The command's options as TOML, defaults included: what a run writes beside its results.
std::string effective_config(const CLI::App& command);

// --threads, for every command that computes.
void add_threads_option(CLI::App& command);

}  // namespace qkv
