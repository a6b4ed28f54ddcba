#include "tools/support/line_editor.h"

#include <histedit.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <string_view>

namespace qkv {
namespace {

class LocaleOfThread {
 public:
  explicit LocaleOfThread(locale_t locale) : before_(::uselocale(locale)) {}
  ~LocaleOfThread() { ::uselocale(before_); }
  LocaleOfThread(const LocaleOfThread&) = delete;
  LocaleOfThread& operator=(const LocaleOfThread&) = delete;

 private:
  locale_t before_;
};

// What libedit does not know by itself: other terminals' Home, End and Delete, Control with the arrows, and what shells
// do at these letters. A Ctrl-D that was pressed while the terminal still kept lines arrives as ^@.
constexpr std::pair<const char*, const char*> line_keys[] = {
    {"\\e[1~", "ed-move-to-beg"}, {"\\e[7~", "ed-move-to-beg"},      {"\\e[4~", "ed-move-to-end"},
    {"\\e[8~", "ed-move-to-end"}, {"\\e[3~", "ed-delete-next-char"}, {"\\e[1;5C", "em-next-word"},
    {"\\e[1;5D", "ed-prev-word"}, {"^U", "vi-kill-line-prev"},       {"^W", "ed-delete-prev-word"},
    {"^R", "em-inc-search-prev"}, {"^@", "em-delete-or-list"}};

}  // namespace

bool LineEditor::possible() {
  const char* kind = std::getenv("TERM");
  const std::string_view named = kind == nullptr ? "" : kind;
  return !named.empty() && named != "dumb" && ::isatty(STDIN_FILENO) != 0 && ::isatty(STDERR_FILENO) != 0;
}

LineEditor::LineEditor(const fs::path& history)
    : locale_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)),
      earlier_(::history_init(), ::history_end),
      editor_(nullptr, ::el_end),
      history_(history) {
  const LocaleOfThread utf8(locale_);
  HistEvent event;
  ::history(earlier_.get(), &event, H_SETSIZE, static_cast<int>(LineHistory::most_lines));
  ::history(earlier_.get(), &event, H_SETUNIQUE, 1);
  for (const std::string& line : history_.lines()) offer(line);
  editor_.reset(::el_init("qkv", stdin, stderr, stderr));
  ::el_set(editor_.get(), EL_CLIENTDATA, this);
  ::el_set(editor_.get(), EL_EDITOR, "emacs");
  ::el_set(editor_.get(), EL_PROMPT, &LineEditor::prompt_of);
  ::el_set(editor_.get(), EL_GETCFN, &LineEditor::read_key);
  ::el_set(editor_.get(), EL_HIST, ::history, earlier_.get());
  for (const auto& [key, what] : line_keys) ::el_set(editor_.get(), EL_BIND, key, what, nullptr);
}

LineEditor::~LineEditor() {
  editor_.reset();
  if (locale_ != nullptr) ::freelocale(locale_);
}

GotLine LineEditor::next(const std::string& prompt, std::string& line) {
  const NotedSignals noted({SIGWINCH, SIGTSTP, SIGTERM, SIGHUP, SIGQUIT});
  const LocaleOfThread utf8(locale_);
  noted_ = &noted;
  prompt_ = prompt;
  without_ = GotLine::end;
  int count = 0;
  // Before the prompt, behind which libedit would do it: a Ctrl-D between the two would not reach it.
  ::el_set(editor_.get(), EL_PREP_TERM, 1);
  const char* text = ::el_gets(editor_.get(), &count);
  if (text == nullptr || count <= 0) {
    std::fputs("\n", stderr);
    return without_;
  }
  line.assign(text, static_cast<size_t>(count));
  while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
  offer(line);
  history_.add(line);
  return GotLine::line;
}

void LineEditor::offer(const std::string& line) {
  HistEvent event;
  if (!line.empty()) ::history(earlier_.get(), &event, H_ENTER, line.c_str());
}

char* LineEditor::prompt_of(editline* editor) {
  LineEditor* self = nullptr;
  ::el_get(editor, EL_CLIENTDATA, &self);
  return self->prompt_.data();
}

// 1: a key; 0: the end; -1: no more keys of this line.
int LineEditor::read_key(editline* editor, wchar_t* key) {
  LineEditor* self = nullptr;
  ::el_get(editor, EL_CLIENTDATA, &self);
  std::mbstate_t state{};
  while (true) {
    if (const int signal = wait_for_input(); signal != 0) {
      if (!self->goes_on_after(signal)) return -1;
      continue;
    }
    char byte = 0;
    const ssize_t count = ::read(STDIN_FILENO, &byte, 1);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return 0;
    const size_t used = std::mbrtowc(key, &byte, 1, &state);
    if (used == static_cast<size_t>(-2)) continue;  // of a character with more bytes
    if (used == static_cast<size_t>(-1)) *key = 0xFFFD;
    return 1;
  }
}

bool LineEditor::goes_on_after(int signal) {
  if (signal == SIGINT) {
    without_ = GotLine::interrupt;
    return false;
  }
  if (signal == SIGWINCH) {
    ::el_resize(editor_.get());
    return true;
  }
  ::el_set(editor_.get(), EL_PREP_TERM, 0);
  noted_->pass_on(signal);
  ::el_set(editor_.get(), EL_PREP_TERM, 1);
  ::el_set(editor_.get(), EL_REFRESH);
  return true;
}

}  // namespace qkv
