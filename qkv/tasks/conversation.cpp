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
                           GenerationOptions options, Overflow overflow)
    : engine_(engine), tokenizer_(tokenizer), chat_(chat), options_(std::move(options)), overflow_(overflow) {}

void Conversation::set_system(const std::string& text) {
  if (!messages_.empty() && is_of(messages_.front(), "system")) messages_.erase(messages_.begin());
  if (!text.empty()) messages_.insert(messages_.begin(), OrderedJson{{"role", "system"}, {"content", text}});
}

ChatAnswer Conversation::answer(const std::function<void(const std::string&)>& on_piece,
                                const std::function<bool()>& goes_on) {
  ChatAnswer answer;
  StreamDecoder decoder(tokenizer_);
  StopStrings stop(options_.stop);
  const auto grow = [&](const std::string& piece) {
    answer.text += piece;
    if (!piece.empty()) on_piece(piece);
  };
  std::promise<std::string> done;
  Request request;
  request.prompt = tokenizer_.encode_ids(chat_.render(messages_), {.add_special_tokens = false});
  request.options = options_;
  request.overflow = overflow_;
  request.on_token = [&](size_t, const ChosenToken& token) {
    ++answer.new_tokens;
    grow(stop.push(decoder.push(token.id)));
    return !stop.stopped();
  };
  request.on_finish = [&](size_t, Finish finish, const std::string& message) {
    answer.finish = finish;
    done.set_value(message);
  };
  answer.prompt_tokens = std::ssize(request.prompt);
  const std::shared_ptr<std::atomic<bool>> cancelled = request.cancelled;
  std::future<std::string> message = done.get_future();
  if (!engine_.submit(std::move(request))) throw Error("chat", "the engine takes no more requests");
  while (message.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready)
    if (!*cancelled && !goes_on()) {
      *cancelled = true;
      engine_.wake();
    }
  const std::string failure = message.get();
  if (answer.finish == Finish::failed) throw Error("chat", failure);
  if (!stop.stopped()) grow(stop.push(decoder.finish()));
  grow(stop.finish());
  messages_.push_back({{"role", "assistant"}, {"content", answer.text}});
  return answer;
}

bool Conversation::undo_answer() {
  if (messages_.empty() || !is_of(messages_.back(), "assistant")) return false;
  messages_.erase(std::prev(messages_.end()));
  return true;
}

bool Conversation::undo_question() {
  const auto last =
      std::find_if(messages_.rbegin(), messages_.rend(), [](const OrderedJson& one) { return is_of(one, "user"); });
  if (last == messages_.rend()) return false;
  messages_.erase(std::prev(last.base()), messages_.end());
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
}

}  // namespace qkv
