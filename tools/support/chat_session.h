// The terminal's side of a conversation: lines in, commands, answers out.
#pragma once

#include "qkv/tasks/conversation.h"
#include "tools/support/line_reader.h"

#include <string>

namespace qkv {

// The messages of a file that /save wrote. Throws Error naming it.
OrderedJson read_messages(const std::string& path);

class ChatSession {
 public:
  // `history`: where a terminal's lines are kept (LineHistory). Quiet: answers alone. Prompts are shown to terminals
  // only.
  ChatSession(Conversation& conversation, const fs::path& history, bool quiet);

  // Reads standard input to its end or /quit. What a user does wrong is told, and the conversation goes on; where no
  // terminal is there to mend it, it is thrown.
  void run();

 private:
  bool read_message(std::string& text);
  bool read_line(const char* prompt, std::string& line);
  bool command(const std::string& line);  // false: the end
  void set(const std::string& rest);
  void answer();

  Conversation& conversation_;
  LineReader lines_;
  bool quiet_;
  bool terminal_;
};

}  // namespace qkv
