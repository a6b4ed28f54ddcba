// qkv VERB ...: finds the verb, turns errors into one message and an exit code.
#include "qkv/core/error.h"
#include "qkv/core/notice.h"
#include "tools/commands.h"
#include "tools/support/help.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>
#include <system_error>

namespace qkv {
#include "commands.inc"
}  // namespace qkv

namespace {

constexpr int user_mistake = 2;
constexpr int our_mistake = 1;

std::vector<std::string> words_of(const CLI::App& command) {
  std::vector<std::string> words;
  for (const CLI::App* child : command.get_subcommands({})) words.push_back(child->get_name());
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
  return words;
}

// The command that parsing had reached: the deepest subcommand named.
const CLI::App& reached(const CLI::App& app) {
  const auto children = app.get_subcommands();
  return children.empty() ? app : reached(*children.back());
}

int report_usage(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help
  const CLI::App& command = reached(app);
  std::string hint;
  // CLI11 names the arguments that nobody took; the first is the culprit.
  const std::vector<std::string> left = command.remaining();
  std::string culprit = left.empty() ? "" : left[0];
  for (int i = 1; i < argc && culprit.empty(); ++i)
    if (std::strstr(error.what(), argv[i]) != nullptr) culprit = argv[i];
  const std::string close =
      culprit.empty() ? "" : qkv::nearest(culprit.substr(0, culprit.find('=')), words_of(command));
  if (!close.empty() && close != culprit) hint = fmt::format("did you mean '{}'? ", close);
  std::string name = command.get_name().empty() ? "qkv" : command.get_name();
  if (name != "qkv") name = "qkv " + name;
  std::string what = error.what();
  if (!left.empty() && !left[0].starts_with("-") && !command.get_subcommands({}).empty())
    what = fmt::format("there is no command '{}'", left[0]);
  std::fprintf(stderr, "qkv: %s\n  try: %s%s --help\n", what.c_str(), hint.c_str(), name.c_str());
  return user_mistake;
}

// What was printed must have arrived: a full disk behind `>` is an error, a reader that has left (`| head`) is not.
int output_failed(int code) {
  if (code == EPIPE) return 0;
  std::fprintf(stderr, "qkv: [standard output] cannot be written: %s\n", std::strerror(code));
  return user_mistake;
}

int finish_output(int exit_code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return exit_code;
  return output_failed(errno);
}

int run(int argc, char** argv) {
  CLI::App app("qkv: the transformer family in one program", "qkv");
  app.formatter(std::make_shared<qkv::HelpFormatter>());
  app.set_help_flag("-h,--help", "show this help");
  app.footer(
      "Examples:\n"
      "  qkv demo                                     train a small GPT for a minute\n"
      "  qkv train notes.txt --out runs/notes         train on a text of yours\n"
      "  qkv generate runs/notes --prompt \"Once\"     let the model write\n\n"
      "qkv VERB --help explains a verb and its options.");
  app.require_subcommand(1);
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.set_version_flag("--version", "qkv " QKV_VERSION, "show the version");
  for (const auto add : qkv::all_commands) add(app);
  if (argc == 1) {
    std::fputs(app.help().c_str(), stderr);
    return user_mistake;
  }
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::RuntimeError& error) {  // a command's own exit code
    return error.get_exit_code();
  } catch (const CLI::ParseError& error) {
    return report_usage(app, error, argc, argv);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) {
    std::puts("qkv " QKV_VERSION);
    return 0;
  }
  std::signal(SIGPIPE, SIG_IGN);
  qkv::handle_notices([](const std::string& where, const std::string& what) {
    std::fprintf(stderr, "note: [%s] %s\n", where.c_str(), what.c_str());
  });
  try {
    return finish_output(run(argc, argv));
  } catch (const qkv::Error& error) {
    std::fprintf(stderr, "qkv: %s\n", error.what());
    return error.exit_code();
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "qkv: out of memory\n  try: a smaller batch, context or model\n");
    return user_mistake;
  } catch (const std::system_error& error) {  // how fmt::print fails
    return output_failed(error.code().value());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "qkv: internal error: %s\n", error.what());
    return our_mistake;
  }
}
