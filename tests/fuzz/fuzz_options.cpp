// A file of options from anywhere: either an Error, or options whose values passed their checks.
#include "qkv/core/error.h"
#include "tools/commands.h"
#include "tools/support/checks.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  CLI::App command("", "train");
  std::vector<std::string> texts;
  int64_t steps = 1;
  double rate = 1;
  bool flag = false;
  std::string kind;
  command.add_option("--text", texts);
  command.add_option("--steps", steps)->check(qkv::at_least(1))->capture_default_str();
  command.add_option("--rate", rate)->check(qkv::above_zero())->capture_default_str();
  command.add_option("--kind", kind)->check(CLI::IsMember({"one", "two"}));
  command.add_flag("--flag", flag);
  qkv::allow_config(command);
  try {
    qkv::read_options_text(command, {reinterpret_cast<const char*>(data), size}, "fuzz");
    if (steps < 1 || !(rate > 0)) __builtin_trap();
    qkv::effective_config(command);
  } catch (const qkv::Error&) {
  }
  return 0;
}
