// qkv classify MODEL: the classes of a text, or of a pair of texts.
#include "qkv/tasks/classify.h"
#include "tools/support/checks.h"
#include "tools/support/task_run.h"

#include <fmt/format.h>

namespace qkv {
namespace {

struct ClassifyCommand : TaskCommand {
  std::string text, pair;
  int64_t top_k = 0;
  std::string function = "auto";
};

ScoreFunction function_named(const std::string& name) {
  return name == "softmax"   ? ScoreFunction::softmax
         : name == "sigmoid" ? ScoreFunction::sigmoid
         : name == "none"    ? ScoreFunction::none
                             : ScoreFunction::automatic;
}

void run_classify(CLI::App& command, ClassifyCommand& options) {
  TaskRun run(command, options, "classifying");
  const Classifier classifier(options.directory, run.options(), function_named(options.function));
  Json given = {{"text", options.text}};
  if (!options.pair.empty()) given["pair"] = options.pair;
  using Labels = std::vector<Label>;
  run(given, TaskJob<Row, Labels>{.prepare =
                                      [&](const Json& fields) {
                                        const std::string text = field_of(fields, "text");
                                        const auto pair = field_if(fields, "pair");
                                        return pair ? classifier.base().row(text, *pair) : classifier.base().row(text);
                                      },
                                  .run =
                                      [&](std::span<const Row> rows) {
                                        std::vector<Labels> results = classifier.classify(rows);
                                        for (Labels& labels : results)
                                          if (options.top_k > 0 && options.top_k < std::ssize(labels))
                                            labels.resize(static_cast<size_t>(options.top_k));
                                        return results;
                                      },
                                  .fields =
                                      [](const Row&, const Labels& labels) {
                                        Json list = Json::array();
                                        for (const Label& label : labels)
                                          list.push_back({{"label", label.name}, {"score", label.score}});
                                        return Json{{"labels", list}};
                                      },
                                  .print =
                                      [](const Json&, const Row&, const Labels& labels) {
                                        for (const Label& label : labels)
                                          fmt::print("{:8.4f}  {}\n", label.score, label.name);
                                      }});
}

}  // namespace

void add_classify(CLI::App& app) {
  auto o = std::make_shared<ClassifyCommand>();
  CLI::App* command = add_task_command(app, "classify", "tell the class of a text or of a pair of texts", *o,
                                       R"(text lines, {"text": ..., "pair": ...})");
  command->add_option("text", o->text, "the text");
  command->add_option("--pair", o->pair, "a second text, for models that compare two")->type_name("TEXT");
  command->add_option("-k,--top-k", o->top_k, "only the best so many classes (default: all)")->check(at_least(1));
  command->add_option("--function", o->function, "how scores are made; auto: as the checkpoint says")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "softmax", "sigmoid", "none"}));
  add_truncate_option(*command, *o);
  command->footer(
      "Examples:\n  qkv classify models/mood \"I like it\"\n"
      "  qkv classify models/nli --input pairs.csv --field text=premise --field pair=hypothesis --output out.jsonl");
  command->callback([command, o] { run_classify(*command, *o); });
}

}  // namespace qkv
