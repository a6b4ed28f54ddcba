#include "qkv/core/progress.h"

#include <fmt/format.h>

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace qkv {
namespace {

constexpr auto redraw_every = std::chrono::milliseconds(100);
constexpr auto line_every = std::chrono::seconds(10);

int terminal_width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

namespace {

// A number of three digits or so, and its prefix.
std::pair<std::string, const char*> scaled(double value) {
  constexpr const char* prefixes[] = {"", "k", "M", "G", "T", "P"};
  int prefix = 0;
  while (value >= 999.5 && prefix < 5) {
    value /= 1000;
    ++prefix;
  }
  if (prefix == 0) return {fmt::format("{:.4g}", value), ""};
  const int digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return {fmt::format("{:.{}f}", value, digits), prefixes[prefix]};
}

}  // namespace

std::string short_count(double value) {
  const auto [number, prefix] = scaled(value);
  return number + prefix;
}

std::string short_quantity(double value, std::string_view unit) {
  const auto [number, prefix] = scaled(value);
  return fmt::format("{} {}{}", number, prefix, unit);
}

std::string short_time(double seconds) {
  const int64_t whole = std::llround(seconds);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

Progress::Progress(std::string title, int64_t total, std::string unit, int64_t done)
    : title_(std::move(title)),
      unit_(std::move(unit)),
      total_(total),
      first_(done),
      done_(done),
      terminal_(::isatty(STDERR_FILENO) != 0),
      start_(Clock::now()),
      drawn_(start_ - line_every) {}

Progress::~Progress() { finish(); }

void Progress::update(int64_t done, std::string_view note) {
  const std::lock_guard lock(mutex_);
  done_ = done;
  if (!note.empty()) note_ = note;
  const auto now = Clock::now();
  if (now - drawn_ < (terminal_ ? Clock::duration(redraw_every) : Clock::duration(line_every))) return;
  drawn_ = now;
  draw();
}

void Progress::message(std::string_view line) {
  const std::lock_guard lock(mutex_);
  if (terminal_) std::fputs("\r\x1b[K", stderr);
  std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
  if (terminal_ && !finished_) draw();
}

void Progress::finish() {
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  if (terminal_ || told_ != done_) draw();
  if (terminal_) std::fputc('\n', stderr);
  finished_ = true;
}

std::string Progress::state() const {
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  const double rate = seconds > 0 ? static_cast<double>(done_ - first_) / seconds : 0;
  const auto count = [&](int64_t n) {
    return total_ < 10000 ? fmt::format("{}", n) : short_count(static_cast<double>(n));
  };
  std::string text = fmt::format("{}/{} {}", count(done_), count(total_), unit_);
  if (done_ >= total_) {
    text += fmt::format(", {}", short_time(seconds));
  } else if (rate > 0) {
    // A fixed number of decimals keeps the line from trembling.
    text += fmt::format(", {}/s, {} left", rate < 100 ? fmt::format("{:.1f}", rate) : short_count(rate),
                        short_time(static_cast<double>(total_ - done_) / rate));
  }
  return note_.empty() ? text : text + "  " + note_;
}

void Progress::draw() {
  const double part = total_ > 0 ? std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0.0, 1.0) : 1.0;
  if (!terminal_) {
    std::fprintf(stderr, "%s %3.0f %%  %s\n", title_.c_str(), 100 * part, state().c_str());
    told_ = done_;
    return;
  }
  const int width = terminal_width();
  const int cells = width < 100 ? 14 : 24;
  const int filled = static_cast<int>(part * cells);
  std::string line = title_ + " ";
  for (int i = 0; i < cells; ++i) line += i < filled ? "━" : "─";
  // Only the bar's cells take several bytes, so the line's width is known without a table. What does not fit goes in
  // whole fields, which stand two spaces apart.
  std::string rest = " " + state();
  const size_t space = static_cast<size_t>(std::max(0, width - static_cast<int>(title_.size()) - cells - 2));
  while (rest.size() > space && rest.find("  ") != std::string::npos) rest.resize(rest.rfind("  "));
  line += rest.substr(0, space);
  std::fprintf(stderr, "\r%s\x1b[K", line.c_str());
  std::fflush(stderr);
}

}  // namespace qkv
