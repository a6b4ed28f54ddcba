#include "qkv/text/tokenizer.h"

#include <functional>
#include <span>
#include <utility>

namespace qkv {
namespace {

constexpr std::string_view incomplete = "\xEF\xBF\xBD";  // U+FFFD, what unfinished bytes decode to

// More tokens than any character has bytes: what is still broken after these stays broken.
constexpr size_t most_held = 64;

// What of a text was not given out. Tokens of bytes stand for U+FFFD each where they are no characters together, so a
// byte that follows may change what was given: it cannot be taken back, and the new ids are decoded alone.
std::string fresh(const std::string& text, const std::string& given, const std::function<std::string()>& alone) {
  return text.starts_with(given) ? text.substr(given.size()) : alone();
}

}  // namespace

// A token's text can depend on whether a token stands before it, so the window keeps the ids given out last.
std::string StreamDecoder::push(int32_t id) {
  window_.push_back(id);
  const std::string text = tokenizer_.decode(window_, skip_special_);
  const bool held_too_long = window_.size() - given_ > most_held;
  if (text.size() <= given_text_.size() || (text.ends_with(incomplete) && !held_too_long)) return "";
  window_.erase(window_.begin(), window_.begin() + static_cast<ptrdiff_t>(given_));
  given_ = window_.size();
  const std::string before = std::exchange(given_text_, tokenizer_.decode(window_, skip_special_));
  return fresh(text, before, [&] { return given_text_; });
}

std::string StreamDecoder::finish() {
  const std::string text = tokenizer_.decode(window_, skip_special_);
  std::string left;
  if (text.size() > given_text_.size())
    left =
        fresh(text, given_text_, [&] { return tokenizer_.decode(std::span(window_).subspan(given_), skip_special_); });
  window_.clear();
  given_ = 0;
  given_text_.clear();
  return left;
}

}  // namespace qkv
