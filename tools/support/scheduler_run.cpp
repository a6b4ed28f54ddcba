#include "tools/support/scheduler_run.h"

#include <fmt/format.h>

#include <cstdio>

namespace qkv {

SchedulerRun::SchedulerRun(Model& model, const DraftOptions& drafts, const EngineOptions& options, Overflow overflow)
    : draft_(load_draft(drafts, options.compute)),
      scheduler_(make_scheduler(model, options, draft_ ? draft_->model.get() : nullptr)),
      overflow_(overflow),
      guesses_(options.drafts > 0) {}

std::vector<std::vector<Continuation>> SchedulerRun::write(const std::vector<std::vector<int32_t>>& prompts,
                                                           const GenerationOptions& options,
                                                           const Generator::OnToken& on_token, GenerationTimes& times) {
  return scheduled_texts(*scheduler_, prompts, options, overflow_, on_token, times);
}

void SchedulerRun::print_guesses() const {
  if (!guesses_) return;
  const EngineStats& stats = scheduler_->stats();
  fmt::print(stderr, "of {} tokens guessed {} were right\n", stats.guessed_tokens, stats.accepted_tokens);
}

}  // namespace qkv
