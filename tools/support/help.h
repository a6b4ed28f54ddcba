// What --help prints: `--lr X   highest learning rate [0.0006]`, verbs by what they are for.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace qkv {

class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(30); }
  // The verbs under the headings their commands chose (App::group), in an order for reading.
  std::string make_subcommands(const CLI::App* app, CLI::AppFormatMode mode) const override;
  std::string make_option_opts(const CLI::Option* option) const override;  // the kind of value, or the choices
  std::string make_option_desc(const CLI::Option* option) const override;  // the description and the default
};

}  // namespace qkv
