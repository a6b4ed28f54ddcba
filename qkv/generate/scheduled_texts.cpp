#include "qkv/generate/scheduled_texts.h"

#include "qkv/core/clock.h"
#include "qkv/core/error.h"

#include <algorithm>

namespace qkv {

std::vector<std::vector<Continuation>> scheduled_texts(Scheduler& scheduler,
                                                       const std::vector<std::vector<int32_t>>& prompts,
                                                       const GenerationOptions& options, Overflow overflow,
                                                       const Generator::OnToken& on_token, GenerationTimes& times) {
  const auto start = Clock::now();
  double first_token = -1;
  int64_t tokens = 0;
  std::string failed;
  const size_t each = static_cast<size_t>(options.num_return_sequences);
  std::vector<std::vector<Continuation>> texts(prompts.size(), std::vector<Continuation>(each));
  for (size_t p = 0; p < prompts.size(); ++p) {
    Request request{.prompt = prompts[p], .options = options, .overflow = overflow};
    request.on_token = [&, p](size_t i, const ChosenToken& chosen) {
      if (first_token < 0) first_token = seconds_since(start);
      ++tokens;
      texts[p][i].ids.push_back(chosen.id);
      texts[p][i].log_probabilities.push_back(chosen.log_probability);
      const bool end = std::find(options.end_ids.begin(), options.end_ids.end(), chosen.id) != options.end_ids.end();
      return end || !on_token || on_token(p * each + i, chosen.id);
    };
    request.on_finish = [&, p](size_t i, Finish finish, const std::string& message) {
      texts[p][i].ended = finish == Finish::end;
      if (finish == Finish::failed || finish == Finish::stuck) failed = message;
    };
    scheduler.check(request);
    scheduler.submit(std::move(request));
  }
  while (scheduler.step() && failed.empty()) {
  }
  if (!failed.empty()) throw Error("generate", failed);
  const double prompt_seconds = std::max(0.0, first_token);
  times = {.prompt_tokens = scheduler.stats().prompt_tokens,
           .prompt_seconds = prompt_seconds,
           .new_tokens = tokens,
           .decode_seconds = seconds_since(start) - prompt_seconds};
  return texts;
}

}  // namespace qkv
