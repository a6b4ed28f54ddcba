// qkv verify DIR: a model directory against the golden results beside it.
#include "qkv/core/error.h"
#include "qkv/generate/golden.h"
#include "qkv/io/golden.h"
#include "tools/commands.h"

#include <fmt/format.h>

#include <cstdio>

namespace qkv {
namespace {

struct VerifyCommand {
  std::vector<std::string> directories;
  std::string dtype = "f32";
  bool json = false;
  bool all = false;
};

bool verify(const std::string& directory, const VerifyCommand& options, Json& report) {
  std::vector<GoldenResult> results = compare_with_golden(directory, dtype_named(options.dtype));
  for (GoldenResult& result : compare_generation(directory)) results.push_back(std::move(result));
  size_t failed = 0;
  const GoldenResult* worst = nullptr;
  for (const GoldenResult& result : results) {
    failed += result.passed() ? 0 : 1;
    if (worst == nullptr || result.error * worst->tolerance > worst->error * result.tolerance) worst = &result;
    if (options.json)
      report[directory][result.name] = {
          {"error", result.error}, {"tolerance", result.tolerance}, {"passed", result.passed()}};
    if (!options.json && (options.all || !result.passed()))
      fmt::print("  {:<60} {:.2e} {} {:.0e} {}\n", result.name, result.error, result.passed() ? "<=" : "> ",
                 result.tolerance, result.note);
  }
  if (!options.json)
    fmt::print("{}: {} of {} agree, largest {} {:.2e}\n", directory, results.size() - failed, results.size(),
               worst ? worst->name : "-", worst ? worst->error : 0);
  return failed == 0;
}

}  // namespace

void add_verify(CLI::App& app) {
  CLI::App* command = app.add_subcommand("verify", "compare a model with the reference results beside it");
  command->group("Checks");
  auto options = std::make_shared<VerifyCommand>();
  command->add_option("directories", options->directories, "model directories with golden.safetensors and golden.json")
      ->required()
      ->type_name("DIR");
  command->add_option("--dtype", options->dtype, "type of weights and activations")
      ->capture_default_str()
      ->check(CLI::IsMember({"f32", "bf16", "f16"}));
  command->add_flag("--json", options->json, "print the errors of all tensors as JSON");
  command->add_flag("--all", options->all, "print every tensor, not only those that differ");
  add_threads_option(*command);
  add_device_option(*command);
  command->footer(
      "Exit code 1 when a tensor is above its tolerance.\n\nExample:\n  qkv verify tests/golden/models/gpt2 --all");
  command->callback([options] {
    bool agree = true;
    Json report = Json::object();
    for (const std::string& directory : options->directories) agree = verify(directory, *options, report) && agree;
    if (options->json) fmt::print("{}\n", report.dump(2));
    if (!agree) throw CLI::RuntimeError(1);
  });
}

}  // namespace qkv
