// qkv tag MODEL: the entities in a text.
#include "qkv/tasks/tag.h"
#include "tools/support/checks.h"
#include "tools/support/task_run.h"

#include <fmt/format.h>

namespace qkv {
namespace {

struct TagCommand : TaskCommand {
  std::string text;
  std::string aggregate = "simple";
  TagOptions tag;
};

Json to_json(const std::vector<Entity>& entities) {
  Json list = Json::array();
  for (const Entity& entity : entities) {
    const bool token = entity.index >= 0;
    Json item = {{token ? "entity" : "entity_group", entity.label},
                 {"score", entity.score},
                 {"word", entity.word},
                 {"start", entity.begin},
                 {"end", entity.end}};
    if (token) item["index"] = entity.index;
    list.push_back(item);
  }
  return {{"entities", list}};
}

void run_tag(CLI::App& command, TagCommand& options) {
  TaskRun run(command, options, "tagging");
  options.tag.aggregation = aggregation_named(options.aggregate);
  const Tagger tagger(options.directory, run.options(), options.tag);
  using Entities = std::vector<Entity>;
  run({{"text", options.text}},
      TaskJob<Tagger::Input, Entities>{
          .prepare = [&](const Json& fields) { return tagger.input(field_of(fields, "text")); },
          .run = [&](std::span<const Tagger::Input> inputs) { return tagger.tag(inputs); },
          .fields = [](const Tagger::Input&, const Entities& entities) { return to_json(entities); },
          .print =
              [](const Json&, const Tagger::Input&, const Entities& entities) {
                for (const Entity& entity : entities)
                  fmt::print("{:8.4f}  {:>5}-{:<5}  {:<12} {}\n", entity.score, entity.begin, entity.end, entity.label,
                             entity.word);
                if (entities.empty()) fmt::print("no entities\n");
              }});
}

}  // namespace

void add_tag(CLI::App& app) {
  auto o = std::make_shared<TagCommand>();
  CLI::App* command = add_task_command(app, "tag", "find names, places and other entities in a text", *o,
                                       R"(text lines, {"text": ...})");
  command->add_option("text", o->text, "the text");
  command
      ->add_option("--aggregate", o->aggregate,
                   "how tokens become entities: none, simple (neighbours of one class), or with one class a word, "
                   "that of its first token, of their average or of the surest (max)")
      ->capture_default_str()
      ->check(CLI::IsMember({"none", "simple", "first", "average", "max"}));
  command->add_option("--ignore", o->tag.ignore, "labels to leave out; may be given several times")
      ->type_name("LABEL")
      ->expected(1)
      ->capture_default_str()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--stride,--overlap", o->tag.overlap, "read a long text in windows that share so many tokens")
      ->check(at_least(0));
  add_truncate_option(*command, *o);
  command->footer(
      "Offsets count the text's characters.\n\nExamples:\n  qkv tag models/ner \"Alice met Bob in Paris.\"\n"
      "  qkv tag models/ner --input news.txt --output entities.jsonl --aggregate average --stride 32");
  command->callback([command, o] { run_tag(*command, *o); });
}

}  // namespace qkv
