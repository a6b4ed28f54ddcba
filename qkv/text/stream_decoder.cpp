#include "qkv/text/tokenizer.h"

namespace qkv {
namespace {

constexpr std::string_view incomplete = "\xEF\xBF\xBD";  // U+FFFD, what unfinished bytes decode to

// More tokens than any character has bytes: what is still broken after these stays broken.
constexpr size_t most_held = 64;

}  // namespace

// A token's text can depend on whether a token stands before it, so the window keeps the ids given out last.
std::string StreamDecoder::push(int32_t id) {
  window_.push_back(id);
  const std::string text = tokenizer_.decode(window_, skip_special_);
  const bool held_too_long = window_.size() - given_ > most_held;
  if (text.size() <= given_text_.size() || (text.ends_with(incomplete) && !held_too_long)) return "";
  std::string fresh = text.substr(given_text_.size());
  window_.erase(window_.begin(), window_.begin() + static_cast<ptrdiff_t>(given_));
  given_ = window_.size();
  given_text_ = tokenizer_.decode(window_, skip_special_);
  return fresh;
}

std::string StreamDecoder::finish() {
  const std::string text = tokenizer_.decode(window_, skip_special_);
  std::string left = text.size() > given_text_.size() ? text.substr(given_text_.size()) : "";
  window_.clear();
  given_ = 0;
  given_text_.clear();
  return left;
}

}  // namespace qkv
