#include "qkv/tasks/conversation.h"

#include "qkv/core/error.h"
#include "qkv/generate/stop_strings.h"

#include <algorithm>
#include <chrono>
#include <future>

namespace qkv {
namespace {

constexpr const char* summary_heading = "Earlier in this conversation: ";
const std::string summary_request =
    "Sum up this conversation in a few sentences. Keep names, numbers, wishes and what was agreed.\n\n";

// The next place at or after `at` where a character begins.
size_t after_character(std::string_view text, size_t at) {
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  return std::min(at, text.size());
}

bool is_of(const OrderedJson& message, const char* role) { return message.value("role", "") == role; }

}  // namespace

Conversation::Conversation(Engine& engine, const Tokenizer& tokenizer, const ChatTemplate& chat,
                           GenerationOptions options, FullContext when_full)
    : engine_(engine), tokenizer_(tokenizer), chat_(chat), options_(std::move(options)), when_full_(when_full) {}

void Conversation::set_system(const std::string& text) {
  if (!messages_.empty() && is_of(messages_.front(), "system")) messages_.erase(messages_.begin());
  if (!text.empty()) messages_.insert(messages_.begin(), OrderedJson{{"role", "system"}, {"content", text}});
}

// Behind the system's text.
size_t Conversation::first_said() const { return !messages_.empty() && is_of(messages_.front(), "system") ? 1 : 0; }

void Conversation::remember_all() {
  summary_.clear();
  summed_up_ = 0;
}

std::vector<int32_t> Conversation::ids_of(const OrderedJson& messages) const {
  return tokenizer_.encode_ids(chat_.render(messages), {.add_special_tokens = false});
}

// The messages as the model reads them. Templates know one system text, so that is where the summary stands.
OrderedJson Conversation::read_messages() const {
  if (summed_up_ == 0) return messages_;
  const size_t first = first_said();
  std::string system = first > 0 ? messages_[0]["content"].get<std::string>() + "\n\n" : "";
  OrderedJson read = OrderedJson::array();
  read.push_back({{"role", "system"}, {"content", system + summary_heading + summary_}});
  for (size_t i = first + summed_up_; i < messages_.size(); ++i) read.push_back(messages_[i]);
  return read;
}

// Sums up the older half of what is read, up to a question, but for the last question. false: there is nothing to sum
// up, or somebody stopped it.
bool Conversation::sum_up(const std::function<bool()>& goes_on) {
  const size_t begin = first_said() + summed_up_;
  size_t end = begin + (messages_.size() - begin) / 2;
  while (end < messages_.size() && !is_of(messages_[end], "user")) ++end;
  if (end >= messages_.size()) end = messages_.size() - 1;
  if (end <= begin) return false;
  GenerationOptions options = options_;
  options.allowed = {};  // answers may be held to a form; a summary is not
  options.max_new_tokens = std::max<int64_t>(8, engine_.context() / 8);
  std::string said = summary_.empty() ? "" : summary_ + "\n";
  for (size_t i = begin; i < end; ++i)
    said +=
        fmt::format("{}: {}\n", messages_[i]["role"].get<std::string>(), messages_[i]["content"].get<std::string>());
  // Of what is too long for one reading, the latest.
  std::vector<int32_t> prompt;
  while (true) {
    OrderedJson asked = OrderedJson::array();
    asked.push_back({{"role", "user"}, {"content", summary_request + said}});
    prompt = ids_of(asked);
    if (std::ssize(prompt) + options.max_new_tokens <= engine_.context() || said.empty()) break;
    said = said.substr(after_character(said, said.size() / 4 + 1));
  }
  const Said summary = write(
      std::move(prompt), options, [](const std::string&) {}, goes_on);
  if (summary.finish == Finish::cancelled) return false;
  summary_ = summary.text;
  summed_up_ = end - first_said();
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
  if (said.finish == Finish::failed) throw Error("chat", failure);
  if (!stop.stopped()) grow(stop.push(decoder.finish()));
  grow(stop.finish());
  return said;
}

ChatAnswer Conversation::answer(const std::function<void(const std::string&)>& on_piece,
                                const std::function<bool()>& goes_on) {
  std::vector<int32_t> prompt = ids_of(read_messages());
  // An answer needs room, too.
  const int64_t room = std::min(options_.max_new_tokens, std::max<int64_t>(1, engine_.context() / 4));
  while (when_full_ == FullContext::summarise && std::ssize(prompt) + room > engine_.context() && sum_up(goes_on))
    prompt = ids_of(read_messages());
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
  if (messages_.size() < first_said() + summed_up_) remember_all();
  return true;
}

bool Conversation::undo_question() {
  const auto last =
      std::find_if(messages_.rbegin(), messages_.rend(), [](const OrderedJson& one) { return is_of(one, "user"); });
  if (last == messages_.rend()) return false;
  messages_.erase(std::prev(last.base()), messages_.end());
  if (messages_.size() < first_said() + summed_up_) remember_all();
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
  remember_all();
}

}  // namespace qkv
