#include "qkv/generate/solo_scheduler.h"

#include "qkv/core/error.h"

#include <algorithm>
#include <cmath>

namespace qkv {

SoloScheduler::SoloScheduler(Model& model, const EngineOptions& options)
    : Scheduler(model.spec(), options), model_(model) {}

void SoloScheduler::begin() {
  group_ = next_group(options_.max_batch);
  begun(group_);
  const Request& request = *group_.request;
  limit_ = group_.request->options.max_new_tokens = limit_of(request);
  std::vector<int32_t> prompt = request.prompt;
  std::vector<std::vector<int32_t>> sources;
  if (spec_.encoder) {
    const int64_t start = request.options.decoder_start >= 0 ? request.options.decoder_start : spec_.decoder_start;
    if (start < 0 || start >= spec_.vocab)
      return end(Finish::failed, fmt::format("the target's first token {} is not in the vocabulary", start));
    sources.push_back(prompt);
    prompt = {static_cast<int32_t>(start)};
  }
  stats_.prompt_tokens += std::ssize(request.prompt);
  prompt_ = prompt.size();
  decoding_.emplace(model_, options_.compute, options_.cache, std::vector<std::vector<int32_t>>{prompt}, limit_,
                    sources);
  const RandomKey key{request.options.seed};
  for (int64_t i = 0; i < group_.count; ++i)
    rows_.push_back({prompt, Random(key.child(static_cast<uint64_t>(group_.first + i))), false});
  decoding_->select_rows(std::vector<int32_t>(rows_.size(), 0));
}

// A token for each row; then the model reads them.
void SoloScheduler::write() {
  const Request& request = *group_.request;
  std::vector<int32_t> tokens(rows_.size(), 0);
  bool goes_on = false;
  for (size_t i = 0; i < rows_.size(); ++i) {
    Row& row = rows_[i];
    if (row.done) continue;
    const std::span<const float> logits = decoding_->logits(i);
    const LogProbabilities scores(logits);
    if (!scores.finite()) return end(Finish::failed, not_finite);
    const int32_t token = tokens[i] = choose_token(logits, row.ids, prompt_, request.options, row.random);
    if (token < 0) return end(Finish::stuck, nothing_allowed);
    const ChosenToken chosen = scores.scored(token, request.likeliest);
    row.ids.push_back(token);
    ++stats_.generated_tokens;
    const auto& ends = request.options.end_ids;
    const bool ended = std::find(ends.begin(), ends.end(), token) != ends.end();
    const size_t index = static_cast<size_t>(group_.first) + i;
    const bool stopped = request.on_token && !request.on_token(index, chosen);
    const bool full = std::ssize(row.ids) - static_cast<int64_t>(prompt_) >= limit_;
    row.done = ended || stopped || full;
    if (row.done) finish(request, index, ended ? Finish::end : stopped ? Finish::stopped : Finish::length);
    goes_on = goes_on || !row.done;
  }
  if (goes_on) {
    decoding_->advance(tokens);
  } else {
    end(Finish::length);
  }
}

// Ends what has not ended.
void SoloScheduler::end(Finish kind, const std::string& message) {
  for (int64_t i = 0; i < group_.count; ++i)
    if (rows_.empty() || !rows_[static_cast<size_t>(i)].done)
      finish(*group_.request, static_cast<size_t>(group_.first + i), kind, message);
  group_ = {};
  decoding_.reset();
  rows_.clear();
}

bool SoloScheduler::step() {
  drop_cancelled();
  if (group_.request && group_.request->cancelled->load()) end(Finish::cancelled);
  if (group_.request) {
    write();
  } else if (!waiting_.empty()) {
    begin();
  }
  ++stats_.steps;
  stats_.waiting = waiting_.size();
  stats_.running = std::ssize(rows_);
  return group_.request || !waiting_.empty();
}

void SoloScheduler::fail_all(const std::string& message) {
  if (group_.request) end(Finish::failed, message);
  fail_waiting(message);
}

}  // namespace qkv
