// What the verbs of tasks share: their options, and the way from a text, or a file of them, to results.
#pragma once

#include "qkv/core/progress.h"
#include "qkv/core/resumable_file.h"
#include "qkv/core/threads.h"
#include "qkv/tasks/text_model.h"
#include "tools/commands.h"
#include "tools/support/records.h"

#include <optional>
#include <type_traits>

namespace qkv {

struct TaskCommand {
  std::string directory;
  std::string input, format, output;
  std::vector<std::string> fields;
  bool resume = false, skip_bad = false, json = false, brief = false, quiet = false;
  std::string dtype = "auto";
  TaskOptions options;
};

// A subcommand with the model's directory and the options above. `reads`: what an input holds, for the help.
CLI::App* add_task_command(CLI::App& app, const char* name, const char* about, TaskCommand& command, const char* reads);
void add_truncate_option(CLI::App& command, TaskCommand& options);

// A verb's part of the work. `Prepared` is what becomes of an input, `Result` what comes out.
template <typename Prepared, typename Result>
struct TaskJob {
  std::function<Prepared(const Json& fields)> prepare;  // throws Error for an input that cannot be done
  std::function<std::vector<Result>(std::span<const Prepared>)> run;
  std::function<Json(const Prepared&, const Result&)> fields;                    // that a result line has
  std::function<void(const Json& input, const Prepared&, const Result&)> print;  // for people
  std::function<void(std::string& out, const Result&)> binary;                   // instead of lines, if given
  std::function<std::string(int64_t results)> header;                            // then; its length never changes
};

class TaskRun {
 public:
  // `doing` stands before the progress bar: "classifying". Reads the options file, if any.
  TaskRun(CLI::App& command, TaskCommand& options, std::string doing);

  // To make the task with: its batches move the progress bar, and Ctrl-C ends it between them.
  TaskOptions options();

  // One input given on the command line, or all of --input in their order.
  template <typename Prepared, typename Result>
  void operator()(const Json& given, const TaskJob<Prepared, Result>& job) {
    if (command_.input.empty()) return one(given, job);
    begin(job.header ? job.header(0) : "");
    windows(job, [&](std::string& out, const Record& record, const Prepared& prepared, const Result& result) {
      if (job.binary) {
        job.binary(out, result);
      } else {
        add_line(out, record, job.fields(prepared, result));
      }
    });
    finish(job.header);
  }

  // All of --input in their order; what comes out is for `take`.
  template <typename Prepared, typename Result>
  void each(const TaskJob<Prepared, Result>& job,
            std::type_identity_t<std::function<void(const Record&, const Result&)>> take) {
    begin("");
    windows(job,
            [&](std::string&, const Record& record, const Prepared&, const Result& result) { take(record, result); });
    finish({});
  }

 private:
  template <typename Prepared, typename Result, typename Add>
  void windows(const TaskJob<Prepared, Result>& job, Add&& add) {
    while (read_window()) {
      std::vector<std::optional<Prepared>> made(window_.size());
      parallel_for(std::ssize(window_), 1, [&](int64_t first, int64_t last) {
        for (auto i = static_cast<size_t>(first); i < static_cast<size_t>(last); ++i) {
          if (window_[i].problem) continue;
          try {
            made[i] = job.prepare(window_[i].fields);
          } catch (const Error& error) {
            note_problem(window_[i], error);
          }
        }
      });
      const size_t usable = leave_out_bad();
      std::vector<Prepared> inputs;
      std::vector<size_t> from;
      for (size_t i = 0; i < usable; ++i)
        if (made[i]) {
          inputs.push_back(*std::move(made[i]));
          from.push_back(i);
        }
      const std::vector<Result> results = job.run(inputs);
      std::string out;
      for (size_t i = 0; i < results.size(); ++i) add(out, window_[from[i]], inputs[i], results[i]);
      write(out, std::ssize(results), usable);
    }
  }
  template <typename Prepared, typename Result>
  void one(const Json& given, const TaskJob<Prepared, Result>& job) {
    require_given(given);
    const Prepared prepared = job.prepare(given);
    const Result result = job.run(std::span(&prepared, 1))[0];
    if (!command_.json) return job.print(given, prepared, result);
    Json line = given;
    line.update(job.fields(prepared, result));
    print_line(line);
  }
  void require_given(const Json& given) const;
  static void print_line(const Json& line);
  void begin(const std::string& header);
  bool read_window();
  static void note_problem(Record& record, const Error& error);
  size_t leave_out_bad();
  void add_line(std::string& out, const Record& record, Json fields) const;
  void write(const std::string& out, int64_t results, size_t records);
  void finish(const std::function<std::string(int64_t)>& header);
  Json settings() const;

  CLI::App& app_;
  TaskCommand& command_;
  std::string doing_;
  std::optional<RecordReader> reader_;
  std::optional<ResumableFile> file_;
  std::optional<Progress> progress_;
  std::vector<Record> window_;
  std::string header_;
  int64_t records_ = 0, results_ = 0, skipped_ = 0;  // done so far
  bool finished_before_ = false;
};

}  // namespace qkv
