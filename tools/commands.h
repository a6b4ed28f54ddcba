// The subcommands. A file tools/NAME.cpp defines `void add_NAME(CLI::App& app)`; CMake lists them, so that adding a
// command is adding a file.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace qkv {

// Lets every option of a command also stand in a TOML file: --config run.toml. Unknown keys are errors. The command's
// callback calls apply_config() first: only then are the command line's own options known, which win.
void allow_config(CLI::App& command);
void apply_config(CLI::App& command);

// Reads such a file at once: what it says for options that the command line left open.
void read_options(CLI::App& command, const std::string& path);
// The same from the file's content.
void read_options_text(CLI::App& command, const std::string& text, const std::string& path);

// The command's options as TOML, defaults included: what a run writes beside its results.
std::string effective_config(const CLI::App& command);

// Sets an option as if it had been given.
void set_option(CLI::App& command, const std::string& name, const std::string& value);

// --threads, for every command that computes.
void add_threads_option(CLI::App& command);

// --device, for every command that runs a model: where models are loaded to from then on.
void add_device_option(CLI::App& command);

}  // namespace qkv
