// A text by its characters (code points), as offsets count them.
#pragma once

#include "qkv/text/unicode.h"

namespace qkv {

class Characters {
 public:
  // The text must be valid UTF-8 and outlive this.
  explicit Characters(std::string_view text) : text_(text) {
    if (is_ascii(text)) return;
    for (size_t i = 0; i < text.size(); i += static_cast<size_t>(utf8_length(text[i]))) starts_.push_back(i);
    starts_.push_back(text.size());
  }

  // Characters [begin, end), as far as the text reaches.
  std::string_view slice(int64_t begin, int64_t end) const {
    const size_t from = byte(begin);
    return text_.substr(from, std::max(byte(end), from) - from);
  }

 private:
  size_t byte(int64_t character) const {
    if (starts_.empty()) return std::min(static_cast<size_t>(character), text_.size());
    return starts_[std::min(static_cast<size_t>(character), starts_.size() - 1)];
  }
  std::string_view text_;
  std::vector<size_t> starts_;  // empty: every byte is a character
};

}  // namespace qkv
