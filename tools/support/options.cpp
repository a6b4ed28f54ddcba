#include "qkv/core/error.h"
#include "qkv/core/files.h"
#include "qkv/core/threads.h"
#include "qkv/text/unicode.h"
#include "tools/commands.h"

#include <sstream>
#include <vector>

namespace qkv {
namespace {

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back(name);
  return names;
}

// TOML's two kinds of string; the basic one knows escapes that our reader does not, so quotes decide.
std::string quoted(const std::string& value) {
  const char quote = value.find('"') == std::string::npos && value.find('\\') == std::string::npos ? '"' : '\'';
  return quote + value + quote;
}

// What the reader makes of one line. It is simple, so that some combinations of quotes, commas and brackets confuse it.
std::vector<std::string> values_read(const std::string& line) {
  try {
    std::istringstream stream(line);
    const std::vector<CLI::ConfigItem> items = CLI::ConfigTOML().from_config(stream);
    return items.size() == 1 ? items[0].inputs : std::vector<std::string>();
  } catch (const CLI::Error&) {
    return {};
  }
}

}  // namespace

void read_options(CLI::App& command, const std::string& path) {
  if (!fs::exists(path))
    throw Error(path, "there is no such file", "give the path of a TOML file with one `option = value` a line");
  constexpr uint64_t most_bytes = 1 << 20;
  read_options_text(command, read_file(path, most_bytes), path);
}

void read_options_text(CLI::App& command, const std::string& text, const std::string& path) {
  require_utf8(text, path);
  if (text.find('\0') != std::string::npos) throw Error(path, "has a NUL byte: it is no text");
  std::vector<CLI::ConfigItem> items;
  try {
    std::istringstream stream(text);
    items = CLI::ConfigTOML().from_config(stream);
  } catch (const CLI::Error& error) {
    throw Error(path, fmt::format("is not TOML that can be read: {}", error.what()));
  }
  const std::vector<std::string> names = option_names(command);
  for (const CLI::ConfigItem& item : items) {
    if (item.name == "++" || item.name == "--") continue;  // how the parser marks sections
    std::string name = item.name;
    std::replace(name.begin(), name.end(), '_', '-');
    CLI::Option* option = command.get_option_no_throw("--" + name);
    if (option == nullptr || name == "config") {
      const std::string close = nearest(name, names);
      throw Error(path, fmt::format("'{}' is not an option of qkv {}", item.fullname(), command.get_name()),
                  close.empty() ? fmt::format("see qkv {} --help", command.get_name())
                                : fmt::format("did you mean '{}'?", close));
    }
    if (option->count() > 0) continue;  // the command line wins
    if (std::ssize(item.inputs) > std::max(1, option->get_items_expected_max()))
      throw Error(path, fmt::format("{}: takes one value, not {}", item.name, item.inputs.size()));
    try {
      if (item.inputs.size() == 1 && item.inputs[0] == "false" && option->get_items_expected_max() == 0) continue;
      for (const std::string& value : item.inputs) option->add_result(value);
      option->run_callback();
    } catch (const CLI::Error& error) {
      throw Error(path, fmt::format("{}: {}", item.name, error.what()));
    }
  }
}

void allow_config(CLI::App& command) {
  command.add_option("--config", "read options from this TOML file; the command line wins")->type_name("FILE");
}

void apply_config(CLI::App& command) {
  if (command.count("--config") > 0) read_options(command, command.get_option("--config")->as<std::string>());
}

std::string effective_config(const CLI::App& command) {
  std::string text = fmt::format("# The effective options of: qkv {}\n", command.get_name());
  for (const CLI::Option* option : command.get_options()) {
    const std::vector<std::string>& names = option->get_lnames();
    if (names.empty() || names[0] == "help" || names[0] == "config" || names[0] == "resume") continue;
    const bool flag = option->get_items_expected_max() == 0;
    std::vector<std::string> values =
        option->count() > 0 ? option->reduced_results() : std::vector<std::string>{option->get_default_str()};
    if (option->count() == 0 && (values[0].empty() || values[0] == "{}")) {
      if (!flag) continue;
      values = {"false"};
    }
    const auto literal = [](const std::string& value) {
      const bool bare = value == "true" || value == "false" ||
                        (!value.empty() && value.find_first_not_of("0123456789+-.eE") == std::string::npos &&
                         value.find_first_of("0123456789") != std::string::npos);
      return bare ? value : quoted(value);
    };
    std::string list;
    for (const std::string& value : values) list += (list.empty() ? "" : ", ") + literal(value);
    const std::string line =
        values.size() > 1 ? fmt::format("{} = [{}]\n", names[0], list) : fmt::format("{} = {}\n", names[0], list);
    if (values_read(line) != values)
      throw Error("--" + names[0],
                  fmt::format("the value {} has a combination of quotes, commas or brackets that cannot be kept in a "
                              "file of options",
                              list),
                  "rename the file");
    text += line;
  }
  return text;
}

void set_option(CLI::App& command, const std::string& name, const std::string& value) {
  CLI::Option* option = command.get_option(name);
  option->clear();
  option->add_result(value);
  option->run_callback();
}

void add_threads_option(CLI::App& command) {
  command.add_option("--threads", "threads to compute with (default: all processors)")
      ->type_name("N")
      ->check(CLI::Range(1, 4096))
      ->each([](const std::string& count) { set_threads(std::stoi(count)); });
}

}  // namespace qkv
