#include "tools/support/chat_session.h"

#include "qkv/core/error.h"
#include "qkv/core/files.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>

namespace qkv {
namespace {

constexpr const char* commands =
    "/system TEXT      what the model is told before the conversation (nothing: take it away)\n"
    "/undo             take back the last question and its answer\n"
    "/regenerate       another answer to the last question\n"
    "/set NAME VALUE   temperature, top_p, top_k, min_p, max_new_tokens, seed, repetition_penalty\n"
    "/history          the conversation so far\n"
    "/save FILE        write it as JSON;  /load FILE goes on with one\n"
    "/quit             or Ctrl-D\n"
    "A line that ends with \\ goes on; a text between lines of \"\"\" may have many. Ctrl-C stops an answer.\n";

}  // namespace

OrderedJson read_messages(const std::string& path) {
  const OrderedJson file = parse_ordered_json(read_file(path, uint64_t{64} << 20), path);
  if (!file.is_object() || !file.contains("messages")) throw Error(path, "is no conversation: it has no \"messages\"");
  return file["messages"];
}

ChatSession::ChatSession(Conversation& conversation, const fs::path& history, bool quiet)
    : conversation_(conversation), lines_(history), quiet_(quiet), terminal_(isatty(STDIN_FILENO) != 0) {}

void ChatSession::run() {
  if (terminal_ && !quiet_) fmt::print(stderr, "/help lists the commands, Ctrl-D ends\n");
  for (std::string text; read_message(text);) {
    try {
      if (text.starts_with('/')) {
        if (!command(text)) return;
      } else if (text.find_first_not_of(" \t\n") != std::string::npos) {
        conversation_.say(text);
        answer();
      }
    } catch (const Error& error) {
      if (!terminal_) throw;
      fmt::print(stderr, "{}\n", error.what());
    }
  }
}

bool ChatSession::read_line(const char* prompt, std::string& line) {
  while (true) {
    const GotLine got = lines_.next(terminal_ && !quiet_ ? prompt : "", line);
    if (got != GotLine::interrupt) return got == GotLine::line;
  }
}

bool ChatSession::read_message(std::string& text) {
  if (!read_line("> ", text)) return false;
  std::string line;
  if (text == "\"\"\"") {
    text.clear();
    while (read_line(". ", line) && line != "\"\"\"") text += line + "\n";
    return true;
  }
  while (text.ends_with('\\')) {
    text.back() = '\n';
    if (!read_line(". ", line)) break;
    text += line;
  }
  return true;
}

bool ChatSession::command(const std::string& line) {
  const size_t space = line.find_first_of(" \t\n");
  const std::string name = line.substr(1, space == std::string::npos ? space : space - 1);
  const size_t begin = space == std::string::npos ? space : line.find_first_not_of(" \t\n", space);
  const std::string rest = begin == std::string::npos ? "" : line.substr(begin);
  if (name == "quit" || name == "exit") return false;
  if (name == "help") {
    fmt::print(stderr, "{}", commands);
  } else if (name == "system") {
    conversation_.set_system(rest);
  } else if (name == "undo") {
    if (!conversation_.undo_question()) throw Error("/undo", "there is nothing to take back");
  } else if (name == "regenerate") {
    if (!conversation_.undo_answer()) throw Error("/regenerate", "there is no answer yet");
    ++conversation_.options().seed;
    answer();
  } else if (name == "set") {
    set(rest);
  } else if (name == "history") {
    for (const OrderedJson& message : conversation_.messages())
      fmt::print("[{}] {}\n", message["role"].get<std::string>(), message["content"].get<std::string>());
    std::fflush(stdout);
  } else if (name == "save" || name == "load") {
    if (rest.empty()) throw Error("/" + name, "expects a file");
    if (name == "load") {
      conversation_.set_messages(read_messages(rest));
    } else {
      write_file(rest, OrderedJson{{"messages", conversation_.messages()}}.dump(2) + "\n");
    }
  } else {
    const std::vector<std::string> names = {"system", "undo", "regenerate", "set", "history",
                                            "save",   "load", "quit",       "help"};
    const std::string near = nearest(name, names);
    throw Error("/" + name, "is no command", near.empty() ? "/help lists them" : "write /" + near);
  }
  return true;
}

void ChatSession::set(const std::string& rest) {
  const size_t space = rest.find(' ');
  const std::string name = rest.substr(0, space);
  const std::string text = space == std::string::npos ? "" : rest.substr(space + 1);
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || !(value >= 0 && value < 1e9))
    throw Error("/set", "expects a name and a number", "for example: /set temperature 0.7");
  GenerationOptions changed = conversation_.options();
  if (name == "temperature") {
    changed.sample = value > 0;
    if (value > 0) changed.temperature = static_cast<float>(value);
  } else if (name == "top_p") {
    changed.top_p = static_cast<float>(value);
  } else if (name == "top_k") {
    changed.top_k = static_cast<int64_t>(value);
  } else if (name == "min_p") {
    changed.min_p = static_cast<float>(value);
  } else if (name == "max_new_tokens") {
    changed.max_new_tokens = static_cast<int64_t>(value);
  } else if (name == "seed") {
    changed.seed = static_cast<uint64_t>(value);
  } else if (name == "repetition_penalty") {
    changed.repetition_penalty = static_cast<float>(value);
  } else {
    throw Error("/set", fmt::format("'{}' cannot be set", name), "/help lists what can");
  }
  check_options(changed);
  conversation_.options() = changed;
}

void ChatSession::answer() {
  lines_.interrupted();  // one before the question is none now
  bool stopped = false;
  ChatAnswer answer;
  try {
    answer = conversation_.answer(
        [](const std::string& piece) {
          std::fwrite(piece.data(), 1, piece.size(), stdout);
          std::fflush(stdout);
        },
        [&] {
          stopped = stopped || lines_.interrupted();
          return !stopped;
        });
  } catch (const Error&) {
    conversation_.undo_question();
    throw;
  }
  std::fputs("\n", stdout);
  std::fflush(stdout);
  if (terminal_ && !quiet_)
    fmt::print(stderr, "[{} tokens{}]\n", answer.prompt_tokens + answer.new_tokens,
               answer.finish == Finish::length      ? ", cut at the limit"
               : answer.finish == Finish::cancelled ? ", stopped"
                                                    : "");
}

}  // namespace qkv
