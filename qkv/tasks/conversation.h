// A conversation with a model: messages, and answers that stream while they are written.
#pragma once

#include "qkv/generate/engine.h"
#include "qkv/tasks/full_context.h"
#include "qkv/tasks/running_summary.h"
#include "qkv/text/chat_template.h"

#include <functional>
#include <string>

namespace qkv {

struct ChatAnswer {
  std::string text;
  Finish finish = Finish::end;
  int64_t prompt_tokens = 0;  // of the whole conversation; those that the engine still holds were not read again
  int64_t new_tokens = 0;
};

class Conversation {
 public:
  // All must outlive it. `options` say how words are chosen and where an answer ends; they may be changed between
  // answers.
  Conversation(Engine& engine, const Tokenizer& tokenizer, const ChatTemplate& chat, GenerationOptions options,
               FullContext when_full = FullContext::refuse);

  // A system text stands first, and replaces the one before; "" takes it away.
  void set_system(const std::string& text);
  void say(const std::string& text) { messages_.push_back({{"role", "user"}, {"content", text}}); }

  // Lets the model answer the messages and adds what it says to them, also when it is stopped. `on_piece` sees the text
  // as it grows, from another thread; false from `goes_on`, which is asked several times a second, ends the answer.
  // Throws Error, and adds nothing, when the template refuses the messages or the engine fails.
  ChatAnswer answer(const std::function<void(const std::string& piece)>& on_piece,
                    const std::function<bool()>& goes_on);

  // Takes the last answer away, or the last question with all behind it. false: there is none.
  bool undo_answer();
  bool undo_question();

  // What the model reads in the place of the first messages behind the system's; "" while it reads them all.
  const std::string& summary() const { return summary_.text(); }

  // All that was said, summed up or not: an array of {"role", "content"}. set_messages() throws Error for anything
  // else.
  const OrderedJson& messages() const { return messages_; }
  void set_messages(const OrderedJson& messages);

  GenerationOptions& options() { return options_; }

 private:
  struct Said {
    std::string text;
    Finish finish = Finish::end;
    int64_t tokens = 0;
  };
  Said write(std::vector<int32_t> prompt, const GenerationOptions& options,
             const std::function<void(const std::string& piece)>& on_piece, const std::function<bool()>& goes_on);
  std::vector<int32_t> ids_of(const OrderedJson& messages) const;
  bool sum_up(const std::function<bool()>& goes_on);

  Engine& engine_;
  const Tokenizer& tokenizer_;
  const ChatTemplate& chat_;
  GenerationOptions options_;
  FullContext when_full_;
  OrderedJson messages_ = OrderedJson::array();
  RunningSummary summary_;
};

}  // namespace qkv
