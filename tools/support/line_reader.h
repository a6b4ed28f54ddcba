// Lines of standard input, for a conversation that Ctrl-C does not end.
#pragma once

#include <cstdint>
#include <string>

namespace qkv {

class LineReader {
 public:
  // From now on SIGINT ends nothing, but is told by next() and interrupted().
  LineReader();

  enum class Got : uint8_t { line, end, interrupt };
  // Waits for the next line, which comes without its end, or for an interrupt.
  Got next(std::string& line);

  // Whether there was an interrupt since this or next() last told of one.
  bool interrupted();

 private:
  std::string read_;  // and not yet given out
  bool ended_ = false;
};

}  // namespace qkv
