// Writing by way of a scheduler, as a verb does it: with guesses, or a context that slides.
#pragma once

#include "qkv/generate/scheduled_texts.h"
#include "tools/support/draft_options.h"

namespace qkv {

class SchedulerRun {
 public:
  // Loads the draft model. Throws Error where the two do not go together.
  SchedulerRun(Model& model, const DraftOptions& drafts, const EngineOptions& options, Overflow overflow);

  // As scheduled_texts().
  std::vector<std::vector<Continuation>> write(const std::vector<std::vector<int32_t>>& prompts,
                                               const GenerationOptions& options, const Generator::OnToken& on_token,
                                               GenerationTimes& times);

  void print_guesses() const;  // how many were right, on standard error

 private:
  std::optional<LoadedModel> draft_;
  std::unique_ptr<Scheduler> scheduler_;
  Overflow overflow_;
  bool guesses_;
};

}  // namespace qkv
