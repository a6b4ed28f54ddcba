#include "qkv/tasks/conversation.h"

#include "qkv/core/error.h"
#include "qkv/generate/stop_strings.h"

#include <algorithm>
#include <chrono>
#include <future>

namespace qkv {
namespace {

bool is_of(const OrderedJson& message, const char* role) { return message.value("role", "") == role; }

}  // namespace

Conversation::Conversation(Engine& engine, const Tokenizer& tokenizer, const ChatTemplate& chat,
                           GenerationOptions options, FullContext when_full)
    : engine_(engine),
      tokenizer_(tokenizer),
      chat_(chat),
      options_(std::move(options)),
      when_full_(when_full),
      summary_(engine.context()) {}

void Conversation::set_system(const std::string& text) {
  if (!messages_.empty() && is_of(messages_.front(), "system")) messages_.erase(messages_.begin());
  if (!text.empty()) messages_.insert(messages_.begin(), OrderedJson{{"role", "system"}, {"content", text}});
}

std::vector<int32_t> Conversation::ids_of(const OrderedJson& messages) const {
  return tokenizer_.encode_ids(chat_.render(messages), {.add_special_tokens = false});
}

// Has the model sum up more. false: there is nothing to sum up, or somebody stopped it.
bool Conversation::sum_up(const std::function<bool()>& goes_on) {
  const auto question = summary_.ask(messages_, options_, [this](const OrderedJson& asked) { return ids_of(asked); });
  if (!question) return false;
  Said said = write(
      question->prompt, question->options, [](const std::string&) {}, goes_on);
  if (said.finish == Finish::cancelled) return false;
  summary_.take(*question, std::move(said.text));
  return true;
}

Conversation::Said Conversation::write(std::vector<int32_t> prompt, const GenerationOptions& options,
                                       const std::function<void(const std::string&)>& on_piece,
                                       const std::function<bool()>& goes_on) {
  Said said;
  StreamDecoder decoder(tokenizer_);
  StopStrings stop(options.stop);
  const auto grow = [&](const std::string& piece) {
    said.text += piece;
    if (!piece.empty()) on_piece(piece);
  };
  std::promise<std::string> done;
  Request request;
  request.prompt = std::move(prompt);
  request.options = options;
  request.overflow = when_full_ == FullContext::slide ? Overflow::slide : Overflow::refuse;
  request.on_token = [&](size_t, const ChosenToken& token) {
    ++said.tokens;
    if (std::find(options.end_ids.begin(), options.end_ids.end(), token.id) != options.end_ids.end()) return true;
    grow(stop.push(decoder.push(token.id)));
    return !stop.stopped();
  };
  request.on_finish = [&](size_t, Finish finish, const std::string& message) {
    said.finish = finish;
    done.set_value(message);
  };
  const std::shared_ptr<std::atomic<bool>> cancelled = request.cancelled;
  std::future<std::string> message = done.get_future();
  if (!engine_.submit(std::move(request))) throw Error("chat", "the engine takes no more requests");
  while (message.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready)
    if (!*cancelled && !goes_on()) {
      *cancelled = true;
      engine_.wake();
    }
  const std::string failure = message.get();
  if (said.finish == Finish::failed || said.finish == Finish::stuck) throw Error("chat", failure);
  if (!stop.stopped()) grow(stop.push(decoder.finish()));
  grow(stop.finish());
  return said;
}

ChatAnswer Conversation::answer(const std::function<void(const std::string&)>& on_piece,
                                const std::function<bool()>& goes_on) {
  std::vector<int32_t> prompt = ids_of(summary_.read(messages_));
  while (when_full_ == FullContext::summarise && !summary_.leaves_room(std::ssize(prompt), options_.max_new_tokens) &&
         sum_up(goes_on))
    prompt = ids_of(summary_.read(messages_));
  ChatAnswer answer;
  answer.prompt_tokens = std::ssize(prompt);
  Said said = write(std::move(prompt), options_, on_piece, goes_on);
  answer.text = std::move(said.text);
  answer.finish = said.finish;
  answer.new_tokens = said.tokens;
  messages_.push_back({{"role", "assistant"}, {"content", answer.text}});
  return answer;
}

bool Conversation::undo_answer() {
  if (messages_.empty() || !is_of(messages_.back(), "assistant")) return false;
  messages_.erase(std::prev(messages_.end()));
  summary_.keep_within(messages_);
  return true;
}

bool Conversation::undo_question() {
  const auto last =
      std::find_if(messages_.rbegin(), messages_.rend(), [](const OrderedJson& one) { return is_of(one, "user"); });
  if (last == messages_.rend()) return false;
  messages_.erase(std::prev(last.base()), messages_.end());
  summary_.keep_within(messages_);
  return true;
}

void Conversation::set_messages(const OrderedJson& messages) {
  const auto is_message = [](const OrderedJson& one) {
    return one.is_object() && one.value("role", OrderedJson()).is_string() &&
           one.value("content", OrderedJson()).is_string();
  };
  if (!messages.is_array() || !std::all_of(messages.begin(), messages.end(), is_message))
    throw Error("conversation", "expected an array of objects with \"role\" and \"content\"");
  messages_ = messages;
  summary_.resume("", 0);
}

}  // namespace qkv
