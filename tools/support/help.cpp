#include "tools/support/help.h"

#include <algorithm>
#include <vector>

namespace qkv {

std::string HelpFormatter::make_subcommands(const CLI::App* app, CLI::AppFormatMode mode) const {
  if (app->get_parent() != nullptr) return Formatter::make_subcommands(app, mode);
  std::vector<std::string> groups = {"Start here", "Models", "Tasks", "Text", "Checks"};
  for (const CLI::App* command : app->get_subcommands({}))
    if (std::find(groups.begin(), groups.end(), command->get_group()) == groups.end())
      groups.push_back(command->get_group());
  std::string text;
  for (const std::string& group : groups) {
    const auto members = app->get_subcommands([&](const CLI::App* command) { return command->get_group() == group; });
    if (!members.empty()) text += "\n" + group + ":\n";
    for (const CLI::App* command : members) text += make_subcommand(command);
  }
  return text;
}

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  if (option->get_type_size() == 0) return "";
  // CLI11 names a type and its checks as "FLOAT:POSITIVE" or "TEXT:{a,b}".
  std::string type = option->get_type_name();
  const size_t colon = type.find(':');
  if (colon != std::string::npos && type.compare(colon + 1, 1, "{") == 0) {
    type = type.substr(colon + 2, type.find('}') - colon - 2);
    std::replace(type.begin(), type.end(), ',', '|');
  } else {
    type = type.substr(0, colon);
    if (type == "INT" || type == "UINT") type = "N";
    if (type == "FLOAT") type = "X";
  }
  const bool several = option->get_expected_max() == CLI::detail::expected_max_vector_size;
  return " " + type + (several ? " ..." : "");
}

std::string HelpFormatter::make_option_desc(const CLI::Option* option) const {
  const std::string value = option->get_default_str();
  const bool shown = option->get_type_size() > 0 && !value.empty() && value != "{}" && value != "[]";
  return option->get_description() + (shown ? " [" + value + "]" : "");
}

}  // namespace qkv
