#include "tools/support/line_reader.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace qkv {

LineReader::LineReader(const fs::path& history) : noted_({SIGINT}) {
  if (LineEditor::possible()) editor_ = std::make_unique<LineEditor>(history);
}

bool LineReader::interrupted() {
  bool any = false;
  while (noted_signal() != 0) any = true;
  return any;
}

GotLine LineReader::next(const std::string& prompt, std::string& line) {
  if (editor_) return editor_->next(prompt, line);
  fmt::print(stderr, "{}", prompt);
  const GotLine got = read(line);
  if (got == GotLine::interrupt && !prompt.empty()) fmt::print(stderr, "\n");
  return got;
}

GotLine LineReader::read(std::string& line) {
  while (true) {
    if (const size_t end = read_.find('\n'); end != std::string::npos || (ended_ && !read_.empty())) {
      line = read_.substr(0, end);
      read_.erase(0, end == std::string::npos ? end : end + 1);
      return GotLine::line;
    }
    if (ended_) return GotLine::end;
    if (wait_for_input() != 0) return GotLine::interrupt;
    std::array<char, 4096> bytes{};
    const ssize_t count = ::read(STDIN_FILENO, bytes.data(), bytes.size());
    if (count > 0) read_.append(bytes.data(), static_cast<size_t>(count));
    if (count == 0 || (count < 0 && errno != EINTR)) ended_ = true;
  }
}

}  // namespace qkv
