#include "tools/support/line_history.h"

#include "qkv/core/error.h"
#include "qkv/core/notice.h"
#include "qkv/text/unicode.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <sstream>

namespace qkv {
namespace {

constexpr uint64_t longest_file = 64 << 20;

}  // namespace

LineHistory::LineHistory(fs::path file) : file_(std::move(file)) {
  if (file_.empty()) return;
  try {
    read();
  } catch (const Error& error) {
    give_up(error.reason());
  }
}

void LineHistory::read() {
  if (std::error_code ignored; !fs::exists(file_, ignored)) return;
  std::istringstream text(read_file(file_, longest_file));
  for (std::string line; std::getline(text, line);) lines_.push_back(lossy_utf8(line));
  if (lines_.size() <= most_lines) return;
  const bool shortens = lines_.size() > 2 * most_lines;
  lines_.erase(lines_.begin(), lines_.end() - most_lines);
  if (!shortens) return;
  std::string latest;
  for (const std::string& line : lines_) latest += line + "\n";
  write_file(file_, latest);
}

void LineHistory::add(const std::string& line) {
  if (line.empty() || (!lines_.empty() && lines_.back() == line)) return;
  lines_.push_back(line);
  if (file_.empty()) return;
  if (std::error_code ignored; fs::create_directories(file_.parent_path(), ignored))
    fs::permissions(file_.parent_path(), fs::perms::owner_all, ignored);
  const int file = ::open(file_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  // One write, so that two conversations do not mix their lines.
  const std::string text = line + "\n";
  if (file < 0 || ::write(file, text.data(), text.size()) != std::ssize(text)) give_up(std::strerror(errno));
  if (file >= 0) ::close(file);
}

void LineHistory::give_up(const std::string& what) {
  notice(file_.string(), what + "; the lines that you type are not kept for later");
  file_.clear();
}

}  // namespace qkv
