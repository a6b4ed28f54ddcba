// qkv fill MODEL: which words fit a gap in a text.
#include "qkv/tasks/fill.h"
#include "tools/support/checks.h"
#include "tools/support/task_run.h"

#include <fmt/format.h>

namespace qkv {
namespace {

struct FillCommand : TaskCommand {
  std::string text;
  int64_t top_k = 5;
  std::vector<std::string> targets;
};

Json to_json(const MaskFillings& masks) {
  Json fillings = Json::array();
  for (const auto& of_mask : masks) {
    Json list = Json::array();
    for (const Filling& filling : of_mask)
      list.push_back({{"score", filling.score},
                      {"token", filling.token},
                      {"token_str", filling.text},
                      {"sequence", filling.sequence}});
    fillings.push_back(list);
  }
  return {{"fillings", fillings}};
}

void print(const MaskFillings& masks) {
  for (size_t i = 0; i < masks.size(); ++i) {
    if (masks.size() > 1) fmt::print("{}mask {}\n", i > 0 ? "\n" : "", i + 1);
    for (const Filling& filling : masks[i])
      fmt::print("{:8.4f}  {:<14} {}\n", filling.score, filling.text, filling.sequence);
  }
}

void run_fill(CLI::App& command, FillCommand& options) {
  TaskRun run(command, options, "filling");
  const MaskFiller filler(options.directory, run.options());
  std::vector<int32_t> targets;
  for (const std::string& word : options.targets) targets.push_back(filler.target(word));
  run({{"text", options.text}},
      TaskJob<Row, MaskFillings>{
          .prepare = [&](const Json& fields) { return filler.row(field_of(fields, "text")); },
          .run = [&](std::span<const Row> rows) { return filler.fill(rows, options.top_k, targets); },
          .fields = [](const Row&, const MaskFillings& masks) { return to_json(masks); },
          .print = [](const Json&, const Row&, const MaskFillings& masks) { print(masks); }});
}

}  // namespace

void add_fill(CLI::App& app) {
  auto o = std::make_shared<FillCommand>();
  CLI::App* command = add_task_command(app, "fill", "fill the gaps in a text", *o, R"(text lines, {"text": ...})");
  command->add_option("text", o->text, "a text with the tokenizer's mask token, such as [MASK], in it");
  command->add_option("-k,--top-k", o->top_k, "the best so many tokens of each mask")
      ->capture_default_str()
      ->check(at_least(1));
  command->add_option("--target", o->targets, "compare only these words; may be given several times")
      ->type_name("WORD")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  add_truncate_option(*command, *o);
  command->footer(
      "Examples:\n  qkv fill models/bert \"The capital of France is [MASK].\"\n"
      "  qkv fill models/bert --input gaps.jsonl --output filled.jsonl");
  command->callback([command, o] { run_fill(*command, *o); });
}

}  // namespace qkv
