#include "qkv/serve/text_job.h"

#include "qkv/core/error.h"
#include "qkv/serve/answers.h"
#include "qkv/serve/leaving.h"
#include "qkv/serve/prompt_ids.h"
#include "qkv/serve/token_text.h"

#include <algorithm>

namespace qkv {

Json to_json(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens}};
}

TextJob::TextJob(Call call, std::shared_ptr<Lease> lease, Writing writing, std::unique_ptr<AnswerForm> form)
    : call_(std::move(call)),
      lease_(std::move(lease)),
      tokenizer_(lease_->model().tokenizer()),
      writing_(std::move(writing)),
      form_(std::move(form)) {}

void TextJob::start(std::vector<Prompt> prompts, bool score_prompts) {
  const int64_t context = lease_->model().context();
  for (const Prompt& prompt : prompts) {
    const int64_t given = std::ssize(prompt.ids);
    usage_.prompt_tokens += given;
    if (writing_.overflow() == Overflow::refuse && given + (writing_.options.max_new_tokens > 0 ? 1 : 0) > context)
      throw too_long_for_context(context, given, writing_.prompt_field);
  }
  for (size_t p = 0; p < prompts.size(); ++p)
    for (int64_t i = 0; i < writing_.options.num_return_sequences; ++i) {
      Line line{.decoder = StreamDecoder(tokenizer_), .stop = StopStrings(writing_.options.stop)};
      line.choice.index = static_cast<int64_t>(lines_.size());
      if (prompts[p].follows) line.begins = line.decoder.push(*prompts[p].follows).empty();
      if (line.begins) line.decoder = StreamDecoder(tokenizer_);
      line.choice.text = prompts[p].echo;
      line.hidden = prompts[p].echo.size();
      lines_.push_back(std::move(line));
    }
  left_ = lines_.size();
  lease_->with_engine([self = shared_from_this(), prompts = std::move(prompts),
                       score_prompts](Engine& engine) { self->submit(engine, prompts, score_prompts); },
                      [self = shared_from_this()](const std::exception_ptr& error) {
                        const std::lock_guard lock(self->mutex_);
                        self->fail(error);
                      });
}

void TextJob::submit(Engine& engine, const std::vector<Prompt>& prompts, bool score_prompts) {
  // The engine's thread waits until all prompts are in: a stream begins when nothing more can be refused.
  const std::lock_guard lock(mutex_);
  try {
    for (size_t p = 0; p < prompts.size(); ++p) {
      const size_t first = p * static_cast<size_t>(writing_.options.num_return_sequences);
      Request request;
      request.prompt = prompts[p].ids;
      request.options = writing_.options;
      request.likeliest = writing_.likeliest;
      request.overflow = writing_.overflow();
      request.score_prompt = score_prompts && prompts[p].ids.size() > 1;
      request.client = call_.client;
      request.cancelled = cancelled_;
      if (score_prompts)
        request.on_prompt = [self = shared_from_this(), p, ids = prompts[p].ids](const auto& scores) {
          self->prompt_scored(p, ids, scores);
        };
      request.on_token = [self = shared_from_this(), first](size_t index, const ChosenToken& token) {
        return self->token(first + index, token);
      };
      request.on_finish = [self = shared_from_this(), first](size_t index, Finish finish, const std::string& message) {
        self->finished(first + index, finish, message);
      };
      if (score_prompts && !request.score_prompt) show_prompt(p, {first_of(prompts[p].ids[0])});
      in_words_of_api([this](const std::string& option) { return field_of(option); },
                      [&] {
                        if (!engine.submit(std::move(request))) throw overloaded();
                      });
    }
  } catch (const Error& error) {
    if (error.where() != "prompt") return fail(std::current_exception());
    return fail(std::make_exception_ptr(
        ApiError(400, fmt::format("'{}' {}.", writing_.prompt_field, error.reason()), writing_.prompt_field)));
  } catch (...) {
    return fail(std::current_exception());
  }
  cancel_when_left(*call_.reply, cancelled_, lease_, engine);
}

// The field that sets an option.
std::string TextJob::field_of(std::string option) const {
  if (option == "return-sequences") return writing_.count < writing_.options.num_return_sequences ? "best_of" : "n";
  std::replace(option.begin(), option.end(), '-', '_');
  return option;
}

void TextJob::event(const Json& data) {
  if (!begun_) {
    begun_ = true;
    call_.reply->begin(200, "text/event-stream", {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}});
    for (const Line& line : lines_)
      for (const Json& opening : form_->opening(line.choice)) event(opening);
  }
  call_.reply->write("data: " + dump_json(data) + "\n\n");
}

void TextJob::fail(const std::exception_ptr& error) {
  if (ended_) return;
  ended_ = true;
  cancelled_->store(true);
  if (begun_) {
    call_.reply->write("data: " + dump_json(answer_of(error).body) + "\n\n");
    call_.reply->end();
  } else {
    answer_errors(*call_.reply, [&] { std::rethrow_exception(error); });
  }
}

TokenText TextJob::first_of(int32_t id) const { return {.id = id, .text = token_text(tokenizer_, id, true)}; }

TokenText TextJob::text_of(const ChosenToken& token, bool begins) const {
  TokenText text{
      .id = token.id, .text = token_text(tokenizer_, token.id, begins), .log_probability = token.log_probability};
  for (const auto& [id, score] : token.likeliest)
    text.likeliest.emplace_back(token_text(tokenizer_, id, begins), score);
  return text;
}

void TextJob::prompt_scored(size_t prompt, const std::vector<int32_t>& ids, const std::vector<ChosenToken>& scores) {
  const std::lock_guard lock(mutex_);
  std::vector<TokenText> tokens = {first_of(ids[0])};
  for (const ChosenToken& score : scores) tokens.push_back(text_of(score, false));
  show_prompt(prompt, tokens);
}

void TextJob::show_prompt(size_t prompt, const std::vector<TokenText>& tokens) {
  const size_t each = static_cast<size_t>(writing_.options.num_return_sequences);
  for (size_t i = prompt * each; i < (prompt + 1) * each; ++i) lines_[i].choice.tokens = tokens;
}

// Text becomes certain: the choice grows, and a stream with it.
void TextJob::grow(Line& line, std::string piece) {
  line.choice.text += piece;
  line.hidden += piece.size();
  if (!writing_.stream || line.hidden == 0) return;
  const std::string text = line.choice.text.substr(line.choice.text.size() - line.hidden);
  const auto tokens = std::span<const TokenText>(line.choice.tokens).subspan(line.told);
  event(form_->piece(line.choice, text, tokens));
  line.told = line.choice.tokens.size();
  line.hidden = 0;
}

bool TextJob::token(size_t which, const ChosenToken& token) {
  const std::lock_guard lock(mutex_);
  if (ended_) return false;
  Line& line = lines_[which];
  ++usage_.completion_tokens;
  ++line.choice.count;
  line.choice.log_probability += token.log_probability;
  const auto& ends = writing_.options.end_ids;
  if (std::find(ends.begin(), ends.end(), token.id) != ends.end()) return true;
  std::string piece = line.stop.push(line.decoder.push(token.id));
  if (writing_.log_probabilities && !line.stop.stopped()) line.choice.tokens.push_back(text_of(token, line.begins));
  line.begins = false;
  grow(line, std::move(piece));
  return !line.stop.stopped();
}

void TextJob::finished(size_t which, Finish finish, const std::string& message) {
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  Line& line = lines_[which];
  if (finish == Finish::stuck)
    return fail(std::make_exception_ptr(ApiError(
        400, fmt::format("The text could not go on in the form that '{}' asks for: {}.", writing_.form, message),
        writing_.form)));
  if (finish == Finish::failed)
    return fail(std::make_exception_ptr(ApiError(500, "The text was not written: " + message)));
  if (finish == Finish::cancelled) {  // nobody reads the rest
    ended_ = true;
    return;
  }
  std::string rest = line.stop.stopped() ? "" : line.stop.push(line.decoder.finish());
  rest += line.stop.finish();
  grow(line, std::move(rest));
  line.choice.finish = finish == Finish::length && !line.stop.stopped() ? "length" : "stop";
  line.done = true;
  if (writing_.stream) {
    if (line.told < line.choice.tokens.size())
      event(form_->piece(line.choice, "", std::span<const TokenText>(line.choice.tokens).subspan(line.told)));
    for (const Json& closing : form_->closing(line.choice)) event(closing);
  }
  if (--left_ == 0) finish_reply();
}

void TextJob::finish_reply() {
  ended_ = true;
  if (writing_.stream) {
    if (writing_.tell_usage) event(form_->usage(usage_));
    call_.reply->write("data: [DONE]\n\n");
    return call_.reply->end();
  }
  // Of each prompt's continuations the likeliest, by the mean over their tokens.
  std::vector<const Choice*> choices;
  const size_t each = static_cast<size_t>(writing_.options.num_return_sequences);
  for (size_t first = 0; first < lines_.size(); first += each) {
    std::vector<Choice*> of_prompt;
    for (size_t i = first; i < first + each; ++i) of_prompt.push_back(&lines_[i].choice);
    const auto mean = [](const Choice* c) {
      return c->log_probability / static_cast<double>(std::max<int64_t>(1, c->count));
    };
    if (writing_.count < writing_.options.num_return_sequences)
      std::stable_sort(of_prompt.begin(), of_prompt.end(),
                       [&](const Choice* a, const Choice* b) { return mean(a) > mean(b); });
    for (size_t i = 0; i < static_cast<size_t>(writing_.count); ++i) {
      of_prompt[i]->index = static_cast<int64_t>(choices.size());
      choices.push_back(of_prompt[i]);
    }
  }
  send_json(*call_.reply, form_->whole(choices, usage_));
}

}  // namespace qkv
