#include "qkv/generate/stop_strings.h"

#include <algorithm>
#include <utility>

namespace qkv {

std::string StopStrings::push(const std::string& piece) {
  if (stopped_) return "";
  held_ += piece;
  // The one that is complete first; of several, the longest. So the pieces' sizes do not matter.
  size_t begin = std::string::npos, end = std::string::npos;
  for (const std::string& stop : stops_) {
    const size_t at = stop.empty() ? std::string::npos : held_.find(stop);
    if (at != std::string::npos && std::pair(at + stop.size(), at) < std::pair(end, begin)) {
      begin = at;
      end = at + stop.size();
    }
  }
  if (begin != std::string::npos) {
    stopped_ = true;
    std::string text = held_.substr(0, begin);
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
