#include "qkv/tasks/running_summary.h"

#include <fmt/format.h>

#include <algorithm>

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

std::string role_of(const OrderedJson& message) { return message.value("role", ""); }

// A message as a line of the text that is summed up.
std::string line_of(const OrderedJson& message) {
  std::string line = fmt::format("{}: {}", role_of(message), message["content"].get<std::string>());
  if (message.contains("tool_calls") && !message["tool_calls"].is_null()) line += message["tool_calls"].dump();
  return line + "\n";
}

// Where the questions begin that stay: at the first at or behind `middle`, or at the last of all.
size_t question_near(const OrderedJson& messages, size_t middle) {
  size_t last = 0;
  for (size_t i = 0; i < messages.size(); ++i) {
    if (role_of(messages[i]) != "user") continue;
    last = i;
    if (i >= middle) break;
  }
  return last;
}

GenerationOptions options_for_summaries(GenerationOptions options, int64_t context) {
  options.sample = false;
  options.num_return_sequences = 1;
  options.max_new_tokens = std::max<int64_t>(8, context / 8);
  // What answers are held to does not concern a summary.
  options.allowed = {};
  options.logit_bias.clear();
  options.stop.clear();
  options.repetition_penalty = 1;
  options.frequency_penalty = options.presence_penalty = 0;
  return options;
}

}  // namespace

size_t RunningSummary::first_said(const OrderedJson& messages) {
  if (messages.empty()) return 0;
  const std::string role = role_of(messages.front());
  return role == "system" || role == "developer" ? 1 : 0;
}

bool RunningSummary::leaves_room(int64_t tokens, int64_t max_new_tokens) const {
  return tokens + std::min(max_new_tokens, std::max<int64_t>(1, context_ / 4)) <= context_;
}

OrderedJson RunningSummary::read(const OrderedJson& messages) const {
  if (covers_ == 0) return messages;
  const size_t first = first_said(messages);
  OrderedJson system = first > 0 ? messages[0] : OrderedJson{{"role", "system"}, {"content", ""}};
  const std::string told = system["content"].get<std::string>();
  system["content"] = told + (told.empty() ? "" : "\n\n") + summary_heading + text_;
  OrderedJson read = OrderedJson::array();
  read.push_back(std::move(system));
  for (size_t i = first + covers_; i < messages.size(); ++i) read.push_back(messages[i]);
  return read;
}

std::optional<RunningSummary::Question> RunningSummary::ask(const OrderedJson& messages,
                                                            const GenerationOptions& options,
                                                            const Encode& encode) const {
  const size_t first = first_said(messages);
  const size_t begin = first + covers_;
  const size_t end = question_near(messages, begin + (messages.size() - begin) / 2);
  if (end <= begin) return {};
  std::string said = text_.empty() ? "" : text_ + "\n";
  for (size_t i = begin; i < end; ++i) said += line_of(messages[i]);
  Question question{.prompt = {}, .options = options_for_summaries(options, context_), .covers = end - first};
  // Of what is too long for one reading, the latest.
  while (true) {
    OrderedJson asked = OrderedJson::array();
    asked.push_back({{"role", "user"}, {"content", summary_request + said}});
    question.prompt = encode(asked);
    if (std::ssize(question.prompt) + question.options.max_new_tokens <= context_ || said.empty()) break;
    said = said.substr(after_character(said, said.size() / 4 + 1));
  }
  return question;
}

void RunningSummary::take(const Question& question, std::string answer) { resume(std::move(answer), question.covers); }

void RunningSummary::resume(std::string text, size_t covers) {
  text_ = std::move(text);
  covers_ = covers;
}

void RunningSummary::keep_within(const OrderedJson& messages) {
  if (messages.size() < first_said(messages) + covers_) resume("", 0);
}

}  // namespace qkv
