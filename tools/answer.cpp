// qkv answer MODEL: the words of a context that answer a question.
#include "qkv/tasks/answer.h"
#include "tools/support/checks.h"
#include "tools/support/task_run.h"

#include <fmt/format.h>

namespace qkv {
namespace {

struct AnswerCommand : TaskCommand {
  std::string question, context, context_file;
  AnswerOptions answer;
  bool no_words = false;
};

Json to_json(const Answers& answers) {
  Json list = Json::array();
  for (const Answer& answer : answers.spans)
    list.push_back({{"answer", answer.text}, {"score", answer.score}, {"start", answer.begin}, {"end", answer.end}});
  return {{"answers", list}, {"null_score", answers.null_score}};
}

void run_answer(CLI::App& command, AnswerCommand& options) {
  TaskRun run(command, options, "answering");
  options.answer.align_to_words = !options.no_words;
  if (options.options.max_length > 0) options.answer.window = options.options.max_length;
  if (!options.context_file.empty()) options.context = read_file(options.context_file);
  const Answerer answerer(options.directory, run.options(), options.answer);
  using Input = Answerer::Input;
  run({{"question", options.question}, {"context", options.context}},
      TaskJob<Input, Answers>{.prepare =
                                  [&](const Json& fields) {
                                    return answerer.input(field_of(fields, "question"), field_of(fields, "context"));
                                  },
                              .run = [&](std::span<const Input> inputs) { return answerer.answer(inputs); },
                              .fields = [](const Input&, const Answers& answers) { return to_json(answers); },
                              .print =
                                  [](const Json&, const Input&, const Answers& answers) {
                                    for (const Answer& answer : answers.spans)
                                      fmt::print("{:8.4f}  {:>5}-{:<5}  {}\n", answer.score, answer.begin, answer.end,
                                                 answer.text.empty() ? "(no answer)" : answer.text);
                                    fmt::print("{:8.4f}  no answer's score\n", answers.null_score);
                                  }});
}

}  // namespace

void add_answer(CLI::App& app) {
  auto o = std::make_shared<AnswerCommand>();
  CLI::App* command = add_task_command(app, "answer", "find the answer to a question in a text", *o,
                                       R"({"question": ..., "context": ...})");
  command->add_option("question", o->question, "the question");
  command->add_option("context", o->context, "the text that holds the answer");
  command->add_option("--context-file", o->context_file, "read the context from a file")->type_name("FILE");
  command->add_option("-k,--top-k", o->answer.top_k, "the best so many answers")
      ->capture_default_str()
      ->check(at_least(1));
  command->add_flag("--allow-null", o->answer.allow_null, "that there is no answer may be one, as in SQuAD 2.0");
  command->add_option("--longest", o->answer.longest, "tokens of an answer")->capture_default_str()->check(at_least(1));
  command
      ->add_option("--stride,--overlap", o->answer.overlap,
                   "a long context is read in windows of --max-length tokens (default: 384) that share so many "
                   "(default: 128)")
      ->check(at_least(0));
  command->add_flag("--no-words", o->no_words, "let an answer begin and end inside a word");
  command->footer(
      "Offsets count the context's characters.\n\nExamples:\n"
      "  qkv answer models/squad \"Who wrote it?\" \"The book was written by Lewis Carroll.\"\n"
      "  qkv answer models/squad --input questions.jsonl --output answers.jsonl --top-k 3");
  command->callback([command, o] { run_answer(*command, *o); });
}

}  // namespace qkv
