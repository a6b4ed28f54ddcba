// A line typed on a terminal that can be edited: arrow keys, Home and End, Emacs' keys, and earlier lines, by libedit.
#pragma once

#include "tools/support/line_history.h"
#include "tools/support/noted_signals.h"

#include <clocale>
#include <cstdint>
#include <memory>
#include <string>

struct editline;
struct history;

namespace qkv {

enum class GotLine : uint8_t { line, end, interrupt };

class LineEditor {
 public:
  // Whether standard input and standard error are a terminal whose cursor can be moved.
  static bool possible();

  explicit LineEditor(const fs::path& history);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  // The next line, in UTF-8 and without its end. SIGINT must be noted (NotedSignals); it takes the line away. Others
  // that stop or end the program find the terminal as it was.
  GotLine next(const std::string& prompt, std::string& line);

 private:
  static int read_key(editline* editor, wchar_t* key);
  static char* prompt_of(editline* editor);
  bool goes_on_after(int signal);
  void offer(const std::string& line);

  locale_t locale_;  // libedit reads and writes in the thread's encoding
  std::unique_ptr<struct history, void (*)(struct history*)> earlier_;
  std::unique_ptr<editline, void (*)(editline*)> editor_;
  LineHistory history_;
  std::string prompt_;
  const NotedSignals* noted_ = nullptr;  // while a line is read
  GotLine without_ = GotLine::end;       // why there is none
};

}  // namespace qkv
