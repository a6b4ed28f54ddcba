#include "qkv/generate/scheduler.h"

#include "qkv/core/error.h"
#include "qkv/generate/cache_type.h"
#include "qkv/models/pass_kind.h"
#include "qkv/generate/paged_scheduler.h"
#include "qkv/generate/solo_scheduler.h"

#include <algorithm>

namespace qkv {
namespace {

constexpr int64_t usual_context = 4096;

}  // namespace

Scheduler::Scheduler(const Spec& spec, const EngineOptions& options) : spec_(spec), options_(options) {
  if (!spec.generates())
    throw Error("model", fmt::format("is a {}, which writes no text", name_of(spec.task)),
                "name a model such as GPT-2, Llama or T5 with its language-model head");
  check_cache_type(spec, options.cache);
  context_ = engine_context(spec, options);
  if (context_ < 2 || options.max_batch < 1 || options.page_size < 1 || options.prompt_chunk < 1 ||
      options.busy_chunk < 1)
    throw Error("engine", "context must be at least 2, batch, page and chunk at least 1");
}

void Scheduler::check(const Request& request) const {
  GenerationOptions options = request.options;
  options.max_new_tokens = std::max<int64_t>(1, options.max_new_tokens);
  if (!options.sample && options.num_return_sequences <= most_rows_of_a_prompt) options.num_return_sequences = 1;
  check_options(options);
  if (request.options.max_new_tokens < 0) throw Error("max-new-tokens", "must not be negative");
  if (options.num_beams > 1 || searches_contrastively(options))
    throw Error("beams", "searching does not run in an engine", "ask for one beam, and no contrastive search");
  if (request.prompt.empty()) throw Error("prompt", "is empty", "give at least one token");
  const int64_t vocab = spec_.encoder ? spec_.encoder->vocab : spec_.vocab;
  for (const int32_t id : request.prompt)
    if (id < 0 || id >= vocab) throw Error("prompt", fmt::format("token {} is not in the vocabulary of {}", id, vocab));
  if (request.kept < 0 || request.kept > context_ / 2) throw Error("kept", "must be in [0, half the context]");
  if (!batches_continuously(spec_) &&
      (request.score_prompt || request.overflow == Overflow::slide || request.options.max_new_tokens == 0))
    throw Error("prompt", "this family of models scores no prompts and slides no context");
  const int64_t given = std::ssize(request.prompt);
  const bool fills = given + (request.options.max_new_tokens > 0 ? 1 : 0) > context_;
  if (fills && (spec_.encoder || request.score_prompt || request.overflow == Overflow::refuse))
    throw Error("prompt", fmt::format("has {} tokens, and the context has {} positions", given, context_),
                "shorten the prompt");
}

void Scheduler::submit(Request request) {
  ++stats_.requests;
  std::string client = request.client;
  waiting_.push(client, {std::make_shared<Request>(std::move(request))});
  stats_.waiting = waiting_.size();
}

int64_t Scheduler::limit_of(const Request& request) const {
  const int64_t wanted = request.options.max_new_tokens;
  if (request.overflow == Overflow::slide) return wanted;
  const int64_t given = spec_.encoder ? 1 : std::ssize(request.prompt);
  return std::min(wanted, context_ - given);
}

void Scheduler::finish(const Request& request, size_t index, Finish finish, const std::string& message) {
  if (finish == Finish::cancelled) ++stats_.cancelled;
  if (finish == Finish::failed || finish == Finish::stuck) ++stats_.failed;
  if (request.on_finish) request.on_finish(index, finish, message);
}

Scheduler::Group Scheduler::next_group(int64_t more) {
  const Waiting& next = waiting_.front();
  const int64_t left = next.request->options.num_return_sequences - next.begun;
  return {next.request, next.begun, std::min(left, next.begun > 0 ? more : options_.max_batch)};
}

void Scheduler::begun(const Group& group) {
  Waiting& waiting = waiting_.front();
  waiting.begun += group.count;
  if (waiting.begun == group.request->options.num_return_sequences) {
    waiting_.pop();
  } else {
    waiting_.pass();
  }
}

void Scheduler::finish_waiting(const Waiting& waiting, Finish kind, const std::string& message) {
  for (int64_t i = waiting.begun; i < waiting.request->options.num_return_sequences; ++i)
    finish(*waiting.request, static_cast<size_t>(i), kind, message);
}

void Scheduler::drop_cancelled() {
  waiting_.remove_if([](const Waiting& waiting) { return waiting.request->cancelled->load(); },
                     [&](const Waiting& waiting) { finish_waiting(waiting, Finish::cancelled); });
  stats_.waiting = waiting_.size();
}

void Scheduler::fail_waiting(const std::string& message) {
  waiting_.remove_if([](const auto&) { return true; },
                     [&](const Waiting& waiting) { finish_waiting(waiting, Finish::failed, message); });
  stats_.waiting = 0;
}

int64_t engine_context(const Spec& spec, const EngineOptions& options) {
  const int64_t own = spec.max_positions();
  if (options.context <= 0) return own > 0 ? std::min(own, usual_context) : usual_context;
  if (own > 0 && options.context > own)
    throw Error("context", fmt::format("{} positions asked, and the model has {}", options.context, own),
                "ask for a shorter context");
  return options.context;
}

bool batches_continuously(const Spec& spec) {
  if (!keeps_keys_alone(spec) || !spec.causal() || spec.stack.block.residual == Residual::reversible) return false;
  for (int64_t i = 0; i < spec.stack.distinct(); ++i) {
    const auto& experts = spec.stack.layer(i).experts;
    if (experts && experts->capacity > 0) return false;
  }
  return true;
}

std::unique_ptr<Scheduler> make_scheduler(Model& model, const EngineOptions& options, Model* draft) {
  if (batches_continuously(model.spec())) return std::make_unique<PagedScheduler>(model, options, draft);
  if (draft != nullptr)
    throw Error("draft", "needs a model whose state is keys and values alone", "run this model without a draft model");
  return std::make_unique<SoloScheduler>(model, options);
}

}  // namespace qkv
