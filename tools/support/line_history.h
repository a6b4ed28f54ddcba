// Lines that were typed, kept between runs: a text file with one a line, readable by its owner alone.
#pragma once

#include "qkv/core/files.h"

#include <string>
#include <vector>

namespace qkv {

class LineHistory {
 public:
  static constexpr size_t most_lines = 1000;

  // Reads the file, where there is one. "": lines are not kept. Where the file cannot be read or written, a notice says
  // so, and lines are not kept.
  explicit LineHistory(fs::path file);

  // The latest last.
  const std::vector<std::string>& lines() const { return lines_; }

  // Adds a line behind what is there, which may be another conversation's by now; but none that repeats the last.
  void add(const std::string& line);

 private:
  void read();
  void give_up(const std::string& what);
  fs::path file_;
  std::vector<std::string> lines_;
};

}  // namespace qkv
