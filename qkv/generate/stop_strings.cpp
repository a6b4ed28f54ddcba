#include "qkv/generate/stop_strings.h"

#include <algorithm>

namespace qkv {

std::string StopStrings::push(const std::string& piece) {
  if (stopped_) return "";
  held_ += piece;
  size_t end = std::string::npos;
  for (const std::string& stop : stops_)
    if (!stop.empty()) end = std::min(end, held_.find(stop));
  if (end != std::string::npos) {
    stopped_ = true;
    std::string text = held_.substr(0, end);
    held_.clear();
    return text;
  }
  // The longest end of what is held that a stop string could begin with.
  size_t keep = 0;
  for (const std::string& stop : stops_)
    for (size_t n = std::min(held_.size(), stop.size()); n > keep; --n)
      if (held_.compare(held_.size() - n, n, stop, 0, n) == 0) keep = n;
  std::string text = held_.substr(0, held_.size() - keep);
  held_.erase(0, held_.size() - keep);
  return text;
}

std::string StopStrings::finish() {
  std::string text;
  if (!stopped_) text.swap(held_);
  return text;
}

}  // namespace qkv
