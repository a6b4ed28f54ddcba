#include "qkv/serve/summing_up.h"

#include "qkv/serve/answers.h"
#include "qkv/serve/api_error.h"
#include "qkv/serve/chat_messages.h"
#include "qkv/serve/leaving.h"

namespace qkv {

SummingUp::SummingUp(Call call, std::shared_ptr<Lease> lease, OrderedJson messages, ChatOptions chat,
                     GenerationOptions options, std::function<void(std::vector<int32_t>)> ready)
    : call_(std::move(call)),
      lease_(std::move(lease)),
      messages_(std::move(messages)),
      chat_(std::move(chat)),
      options_(std::move(options)),
      ready_(std::move(ready)),
      summary_(lease_->model().context()),
      decoder_(lease_->model().tokenizer()) {}

std::vector<int32_t> SummingUp::prompt() const { return chat_prompt(lease_->model(), summary_.read(messages_), chat_); }

void SummingUp::start() {
  const std::vector<int32_t> all = prompt();
  if (summary_.leaves_room(std::ssize(all), options_.max_new_tokens)) return ready_(all);
  const bool queued = lease_->model().run([self = shared_from_this()] {
    answer_errors(*self->call_.reply, [&] {
      self->lease_->model().summaries().resume(self->messages_, self->summary_);
      self->go_on();
    });
  });
  if (!queued) throw overloaded();
}

// To the answer, or to one more summary. On the worker's thread: long texts are cut into tokens several times.
void SummingUp::go_on() {
  if (*cancelled_) return;  // nobody reads the answer
  std::vector<int32_t> read = prompt();
  if (summary_.leaves_room(std::ssize(read), options_.max_new_tokens)) return ready_(std::move(read));
  // A summary calls no tools.
  ChatOptions plain = chat_;
  plain.tools = nullptr;
  const auto encode = [&](const OrderedJson& asked) { return chat_prompt(lease_->model(), asked, plain); };
  std::optional<RunningSummary::Question> question = summary_.ask(messages_, options_, encode);
  if (!question) return ready_(std::move(read));
  question_ = std::move(*question);
  written_.clear();
  decoder_ = StreamDecoder(lease_->model().tokenizer());
  lease_->with_engine(
      [self = shared_from_this()](Engine& engine) { answer_errors(*self->call_.reply, [&] { self->submit(engine); }); },
      [self = shared_from_this()](const std::exception_ptr& error) { self->fail(error); });
}

void SummingUp::submit(Engine& engine) {
  Request request;
  request.prompt = question_.prompt;
  request.options = question_.options;
  request.client = call_.client;
  request.cancelled = cancelled_;
  request.on_token = [self = shared_from_this()](size_t, const ChosenToken& token) {
    self->written_ += self->decoder_.push(token.id);
    return true;
  };
  request.on_finish = [self = shared_from_this()](size_t, Finish finish, const std::string& message) {
    self->finished(finish, message);
  };
  // Before the engine has it: the answer behind it sets its own.
  cancel_when_left(*call_.reply, cancelled_, lease_, engine);
  if (!engine.submit(std::move(request))) throw overloaded();
}

// On the engine's thread, which has others to serve.
void SummingUp::finished(Finish finish, const std::string& message) {
  if (finish == Finish::cancelled) return;  // nobody reads the answer
  if (finish == Finish::failed)
    return fail(std::make_exception_ptr(ApiError(500, "The conversation was not summed up: " + message)));
  const bool queued = lease_->model().run([self = shared_from_this()] {
    answer_errors(*self->call_.reply, [&] {
      self->written_ += self->decoder_.finish();
      self->summary_.take(self->question_, std::move(self->written_));
      self->lease_->model().summaries().keep(self->messages_, self->summary_);
      self->go_on();
    });
  });
  if (!queued) fail(std::make_exception_ptr(overloaded()));
}

void SummingUp::fail(const std::exception_ptr& error) {
  answer_errors(*call_.reply, [&] { std::rethrow_exception(error); });
}

}  // namespace qkv
