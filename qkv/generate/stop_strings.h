// Ends a stream of text before the first of some strings, which may come in pieces.
#pragma once

#include <string>
#include <vector>

namespace qkv {

class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // The text that can be given out now: what cannot be the beginning of a stop string. Nothing once stopped.
  std::string push(const std::string& piece);
  // What was held back, at the end.
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace qkv
