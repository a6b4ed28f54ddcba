// Texts by way of a scheduler, for what Generator has not: tokens that are guessed ahead, and a context that slides.
#pragma once

#include "qkv/generate/generator.h"
#include "qkv/generate/scheduler.h"

namespace qkv {

// For each prompt, num_return_sequences continuations, the same that Generator gives; a row is one of them, in order.
// Throws Error as it does, and where Scheduler::check() does.
std::vector<std::vector<Continuation>> scheduled_texts(Scheduler& scheduler,
                                                       const std::vector<std::vector<int32_t>>& prompts,
                                                       const GenerationOptions& options, Overflow overflow,
                                                       const Generator::OnToken& on_token, GenerationTimes& times);

}  // namespace qkv
