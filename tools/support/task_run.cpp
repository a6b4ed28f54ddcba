#include "tools/support/task_run.h"

#include "qkv/io/model_source.h"
#include "qkv/models/compute_type.h"
#include "tools/support/checks.h"
#include "tools/support/dtype_option.h"
#include "tools/support/int8_options.h"
#include "tools/support/signals.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace qkv {
namespace {

constexpr int interrupt_code = 130;  // exit code, as shells have it

}  // namespace

CLI::App* add_task_command(CLI::App& app, const char* name, const char* about, TaskCommand& o, const char* reads) {
  CLI::App* command = app.add_subcommand(name, about);
  command->group("Tasks");
  command->add_option("model", o.directory, "a model directory")->required()->type_name("DIR");
  const std::string group = "Many inputs";
  command->add_option("-i,--input", o.input, fmt::format("a file of inputs, or - for standard input: {}", reads))
      ->type_name("FILE")
      ->group(group);
  command->add_option("-o,--output", o.output, "write a JSON line for each input here (default: to standard output)")
      ->type_name("FILE")
      ->group(group);
  command->add_option("--format", o.format, "what the input is, if not as its name ends")
      ->check(CLI::IsMember({"jsonl", "txt", "csv", "tsv"}))
      ->group(group);
  command->add_option("--field", o.fields, "read a field from another one or from a column: text=sentence")
      ->type_name("NAME=COLUMN")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(group);
  command->add_flag("--resume", o.resume, "go on with an --output that a stopped run left unfinished")->group(group);
  command->add_flag("--skip-bad", o.skip_bad, "leave out inputs that cannot be done, and count them")->group(group);
  command->add_flag("--brief", o.brief, "result lines name the input's line instead of repeating it")->group(group);
  command->add_flag("-q,--quiet", o.quiet, "no progress on standard error")->group(group);
  command->add_flag("--json", o.json, "print a JSON object");
  add_dtype_option(*command, o.dtype);
  add_int8_options(*command, o.options.pack);
  command->add_option("--batch-tokens", o.options.batch_tokens, "at most so many tokens go through the model at once")
      ->capture_default_str()
      ->check(at_least(1));
  command->add_option("--max-length", o.options.max_length, "tokens of an input, if fewer than the model takes")
      ->check(at_least(1));
  add_threads_option(*command);
  add_device_option(*command);
  allow_config(*command);
  return command;
}

void add_truncate_option(CLI::App& command, TaskCommand& options) {
  command.add_flag("--truncate", options.options.truncate, "cut off the end of what is too long for the model");
}

TaskRun::TaskRun(CLI::App& command, TaskCommand& options, std::string doing)
    : app_(command), command_(options), doing_(std::move(doing)) {
  apply_config(command);
  if (command_.input.empty() && !command_.output.empty())
    throw Error("--output", "is for the results of --input", "a single result goes to standard output: > FILE");
  if (command_.output.empty() && command_.resume)
    throw Error("--resume", "needs the --output of the run to go on with");
}

TaskOptions TaskRun::options() {
  TaskOptions options = command_.options;
  options.dtype = compute_type_named(command_.dtype, read_config(command_.directory));
  if (command_.input.empty()) return options;
  options.pack.floats = true;  // many texts: what it costs once comes back
  const std::atomic<bool>& stop = stop_requested();
  options.on_batch = [this, &stop](int64_t done, int64_t total) {
    if (stop) {
      progress_.reset();
      const std::string next = command_.output.empty() ? "" : "; the same command with --resume goes on";
      fmt::print(stderr, "stopped after {} of {} inputs{}\n", records_, reader_->total(), next);
      throw CLI::RuntimeError(interrupt_code);
    }
    if (progress_) progress_->update(records_ + done * std::ssize(window_) / std::max<int64_t>(1, total));
  };
  return options;
}

Json TaskRun::settings() const {
  constexpr std::array<std::string_view, 7> irrelevant = {"help",  "config",  "output",  "resume",
                                                          "quiet", "threads", "skip-bad"};
  Json settings = Json::object();
  for (const CLI::Option* option : app_.get_options()) {
    const std::string name = option->get_lnames().empty() ? option->get_name() : option->get_lnames()[0];
    if (std::find(irrelevant.begin(), irrelevant.end(), name) != irrelevant.end()) continue;
    settings[name] =
        option->count() > 0 ? fmt::format("{}", fmt::join(option->reduced_results(), ",")) : option->get_default_str();
  }
  return settings;
}

void TaskRun::begin(const std::string& header) {
  reader_.emplace(command_.input, command_.format, command_.fields);
  header_ = header;
  if (!command_.output.empty()) {
    const bool unfinished = fs::exists(command_.output + ".unfinished");
    if (command_.resume && !unfinished && fs::exists(command_.output)) {
      fmt::print(stderr, "{} is finished\n", command_.output);
      finished_before_ = true;
      return;
    }
    file_.emplace(command_.output, settings(), command_.resume);
    if (const Json& position = file_->position(); !position.is_null()) {
      records_ = position.at("records").get<int64_t>();
      results_ = position.at("results").get<int64_t>();
      skipped_ = position.at("skipped").get<int64_t>();
      reader_->skip(records_);
      header_.clear();
    }
  }
  if (!command_.quiet) progress_.emplace(doing_, reader_->total(), "inputs", records_);
}

// Enough to sort by length and fill some batches. Where a window ends depends on the inputs alone, so that a resumed
// run has the windows, and to the bit the results, of one that was not stopped.
bool TaskRun::read_window() {
  constexpr size_t most = 4096;
  const auto bytes = static_cast<size_t>(64 * command_.options.batch_tokens);
  window_.clear();
  if (finished_before_) return false;
  for (size_t size = 0; window_.size() < most && size < bytes;) {
    auto record = reader_->next();
    if (!record) break;
    for (const auto& [key, value] : record->fields.items())
      if (value.is_string()) size += value.get_ref<const std::string&>().size();
    window_.push_back(*std::move(record));
  }
  return !window_.empty();
}

void TaskRun::note_problem(Record& record, const Error& error) {
  record.problem.emplace(record.where, fmt::format("{}: {}", error.where(), error.reason()), error.hint());
}

// How many records at the window's beginning go on: all, or those before the first bad one.
size_t TaskRun::leave_out_bad() {
  constexpr int64_t shown = 10;
  for (size_t i = 0; i < window_.size(); ++i) {
    const auto& problem = window_[i].problem;
    if (!problem) continue;
    if (!command_.skip_bad) return i;
    if (++skipped_ > shown) continue;
    const std::string line =
        skipped_ == shown ? "... further bad inputs are only counted" : fmt::format("skipped: {}", problem->what());
    if (progress_) {
      progress_->message(line);
    } else {
      fmt::print(stderr, "{}\n", line);
    }
  }
  return window_.size();
}

void TaskRun::add_line(std::string& out, const Record& record, Json fields) const {
  if (command_.brief) {
    fields["line"] = record.line;
  } else {
    Json line = record.fields;
    line.update(fields);
    fields = std::move(line);
  }
  out += fields.dump();
  out += '\n';
}

void TaskRun::require_given(const Json& given) const {
  for (const Json& value : given)
    if (!value.get_ref<const std::string&>().empty()) return;
  throw Error(app_.get_name(), "nothing is given to work on",
              fmt::format("give a text, or a file with --input; see qkv {} --help", app_.get_name()));
}

void TaskRun::print_line(const Json& line) { fmt::print("{}\n", line.dump()); }

void TaskRun::write(const std::string& out, int64_t results, size_t records) {
  records_ += static_cast<int64_t>(records);
  results_ += results;
  if (file_) {
    file_->save(header_ + out, {{"records", records_}, {"results", results_}, {"skipped", skipped_}});
  } else {
    std::fwrite(header_.data(), 1, header_.size(), stdout);
    std::fwrite(out.data(), 1, out.size(), stdout);
    std::fflush(stdout);
  }
  header_.clear();
  if (progress_) progress_->update(records_);
  if (records == window_.size()) return;
  progress_.reset();
  const Error& problem = *window_[records].problem;
  throw Error(problem.where(), problem.reason(),
              problem.hint() + (problem.hint().empty() ? "" : "; or ") + "--skip-bad goes on without such inputs");
}

void TaskRun::finish(const std::function<std::string(int64_t)>& header) {
  progress_.reset();
  if (finished_before_) return;
  if (file_) file_->finish(header ? header(results_) : "");
  if (skipped_ > 0) fmt::print(stderr, "{} bad input{} skipped\n", skipped_, skipped_ == 1 ? "" : "s");
}

}  // namespace qkv
