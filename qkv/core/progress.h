// Progress of long work on stderr: a bar with rate and time left on a terminal, plain lines now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace qkv {

class Progress {
 public:
  // `total` units of work, `done` of them already (a resumed run). Thread-safe.
  Progress(std::string title, int64_t total, std::string unit, int64_t done = 0);
  ~Progress();
  Progress(const Progress&) = delete;

  // So much is done; `note` stands behind the bar, its fields two spaces apart, the most important first: what does not
  // fit into the terminal is left out. Drawn at most ten times a second.
  void update(int64_t done, std::string_view note = "");
  // A line that stays, above the bar.
  void message(std::string_view line);
  // The last state is drawn and the line ended. Called by the destructor if not before.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  void draw();
  std::string state() const;

  std::mutex mutex_;
  std::string title_, unit_, note_;
  int64_t total_, first_, done_;
  bool terminal_;
  bool finished_ = false;
  int64_t told_ = -1;  // what the last plain line said
  Clock::time_point start_, drawn_;
};

// "1.2k", "3.4M": a count in three digits or so.
std::string short_count(double value);
// "735 kB", "3.42 TFLOP/s": the same with a unit.
std::string short_quantity(double value, std::string_view unit);
// "12 s", "3 min 20 s", "2 h 05 min".
std::string short_time(double seconds);

}  // namespace qkv
