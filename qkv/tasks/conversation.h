// A conversation with a model: messages, and answers that stream while they are written.
#pragma once

#include "qkv/generate/engine.h"
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
  // answers. What happens when the context is full: see Overflow.
  Conversation(Engine& engine, const Tokenizer& tokenizer, const ChatTemplate& chat, GenerationOptions options,
               Overflow overflow = Overflow::refuse);

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

  // An array of {"role", "content"}. Throws Error for anything else.
  const OrderedJson& messages() const { return messages_; }
  void set_messages(const OrderedJson& messages);

  GenerationOptions& options() { return options_; }

 private:
  Engine& engine_;
  const Tokenizer& tokenizer_;
  const ChatTemplate& chat_;
  GenerationOptions options_;
  Overflow overflow_;
  OrderedJson messages_ = OrderedJson::array();
};

}  // namespace qkv
