// Lines of standard input, for a conversation that Ctrl-C does not end.
#pragma once

#include "qkv/core/files.h"
#include "tools/support/line_editor.h"
#include "tools/support/noted_signals.h"

#include <memory>
#include <string>

namespace qkv {

class LineReader {
 public:
  // From now on SIGINT ends nothing, but is told by next() and interrupted(). On a terminal lines can be edited, and
  // earlier ones brought back, also those of `history` (LineHistory).
  explicit LineReader(const fs::path& history);

  // Shows the prompt on standard error and waits for the next line, which comes without its end, or for an interrupt,
  // which takes away what was typed.
  GotLine next(const std::string& prompt, std::string& line);

  // Whether there was an interrupt since this or next() last told of one.
  bool interrupted();

 private:
  GotLine read(std::string& line);
  NotedSignals noted_;
  std::unique_ptr<LineEditor> editor_;  // null: the terminal, if any, edits lines as it can
  std::string read_;                    // and not yet given out
  bool ended_ = false;
};

}  // namespace qkv
