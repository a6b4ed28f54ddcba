#include "qkv/core/error.h"
#include "qkv/core/files.h"
#include "qkv/core/threads.h"
#include "qkv/tensor/device.h"
#include "qkv/text/unicode.h"
#include "tools/commands.h"

#include <optional>
#include <set>
#include <sstream>
#include <toml++/toml.h>
#include <vector>

namespace qkv {
namespace {

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back(name);
  return names;
}

// A value as the command line would give it; nothing for one that no option takes.
std::optional<std::string> as_argument(const toml::node& value) {
  if (const auto* text = value.as_string()) return text->get();
  if (const auto* number = value.as_integer()) return fmt::format("{}", number->get());
  if (const auto* number = value.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* flag = value.as_boolean()) return flag->get() ? "true" : "false";
  return std::nullopt;
}

// Bare where the reader gives the same argument back, else quoted: a file may be named 1.0.
std::string toml_of(const std::string& argument) {
  if (!argument.empty() && argument.find_first_not_of("0123456789+-.eatrufls") == std::string::npos) {
    try {
      const toml::table line = toml::parse("value = " + argument);
      if (as_argument(*line.get("value")) == argument) return argument;
    } catch (const toml::parse_error&) {  // then it is text
    }
  }
  std::ostringstream out;
  out << toml::toml_formatter{toml::value<std::string>(argument), toml::format_flags::none};
  return out.str();
}

// Options of one file, whose sections only group them.
class OptionsReader {
 public:
  OptionsReader(CLI::App& command, const std::string& path)
      : command_(command), path_(path), names_(option_names(command)) {}

  void read(const toml::table& table) {
    for (const auto& [key, value] : table) {
      if (const toml::table* section = value.as_table()) {
        read(*section);
      } else {
        set(std::string(key.str()), value);
      }
    }
  }

 private:
  CLI::Option& option_named(std::string name, const std::string& key) const {
    std::replace(name.begin(), name.end(), '_', '-');
    CLI::Option* option = command_.get_option_no_throw("--" + name);
    if (option != nullptr && name != "config") return *option;
    const std::string close = nearest(name, names_);
    throw Error(path_, fmt::format("'{}' is not an option of qkv {}", key, command_.get_name()),
                close.empty() ? fmt::format("see qkv {} --help", command_.get_name())
                              : fmt::format("did you mean '{}'?", close));
  }

  std::vector<std::string> arguments(const std::string& key, const toml::node& value) const {
    std::vector<std::string> result;
    const auto take = [&](const toml::node& one) {
      const std::optional<std::string> argument = as_argument(one);
      if (!argument) throw Error(path_, fmt::format("{}: is neither text, number, true nor false", key));
      result.push_back(*argument);
    };
    if (const toml::array* list = value.as_array()) {
      for (const toml::node& one : *list) take(one);
    } else {
      take(value);
    }
    return result;
  }

  void set(const std::string& key, const toml::node& value) {
    CLI::Option& option = option_named(key, key);
    if (!seen_.insert(&option).second) throw Error(path_, fmt::format("{}: is given twice", key));
    if (option.count() > 0) return;  // the command line wins
    const std::vector<std::string> given = arguments(key, value);
    if (std::ssize(given) > std::max(1, option.get_items_expected_max()))
      throw Error(path_, fmt::format("{}: takes one value, not {}", key, given.size()));
    if (given.empty() || (given.size() == 1 && given[0] == "false" && option.get_items_expected_max() == 0)) return;
    try {
      for (const std::string& argument : given) option.add_result(argument);
      option.run_callback();
    } catch (const CLI::Error& error) {
      throw Error(path_, fmt::format("{}: {}", key, error.what()));
    }
  }

  CLI::App& command_;
  const std::string& path_;
  const std::vector<std::string> names_;
  std::set<const CLI::Option*> seen_;
};

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
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    const int64_t number = error.source().begin.line;
    std::istringstream lines(text);
    std::string line;
    for (int64_t i = 0; i < number; ++i) std::getline(lines, line);
    constexpr size_t longest = 200;
    const std::string shown = line.size() <= longest ? fmt::format(" (in `{}`)", line) : "";
    throw Error(fmt::format("{}:{}", path, number),
                fmt::format("is not TOML that can be read: {}{}", error.description(), shown),
                "write one `option = value` a line, text in quotes");
  }
  OptionsReader(command, path).read(table);
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
    std::string list;
    for (const std::string& value : values) {
      require_utf8(value, "--" + names[0]);
      list += (list.empty() ? "" : ", ") + toml_of(value);
    }
    text += values.size() > 1 ? fmt::format("{} = [{}]\n", names[0], list) : fmt::format("{} = {}\n", names[0], list);
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

void add_device_option(CLI::App& command) {
  command.add_option("--device", "where the model runs: cpu, cuda or cuda:N (default: $QKV_DEVICE, else cpu)")
      ->type_name("DEVICE")
      ->each([](const std::string& name) { set_default_device(device_named(name)); });
  command.add_flag_function(
      "--tf32", [](int64_t count) { set_tf32(count > 0); },
      "on a GPU, products of f32 round their factors to tf32: quicker, 11 bits of each (default: $QKV_TF32)");
}

}  // namespace qkv
