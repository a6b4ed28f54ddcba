#include "qkv/text/sentencepiece.h"
#include "qkv/text/unicode.h"

namespace qkv {
namespace {

std::vector<std::pair<std::string_view, int32_t>> user_defined_keys(const SentencePieceFile& file) {
  std::vector<std::pair<std::string_view, int32_t>> keys;
  for (size_t id = 0; id < file.pieces.size(); ++id)
    if (file.pieces[id].type == SentencePieceFile::user_defined)
      keys.emplace_back(file.pieces[id].text, static_cast<int32_t>(id));
  return keys;
}

// The normalized text, and for every byte of it, and its end, where in the input it was made.
class Output {
 public:
  explicit Output(bool tracked) : tracked_(tracked) {}

  void append(std::string_view bytes, size_t made_at) {
    text_ += bytes;
    if (tracked_) origin_.insert(origin_.end(), bytes.size(), static_cast<uint32_t>(made_at));
  }
  bool ends_with(std::string_view suffix) const { return std::string_view(text_).ends_with(suffix); }
  bool empty() const { return text_.empty(); }
  // Returns where the first byte that goes was made.
  size_t shorten(size_t bytes) {
    text_.resize(text_.size() - bytes);
    if (!tracked_) return 0;
    const size_t made_at = origin_[text_.size()];
    origin_.resize(text_.size());
    return made_at;
  }

  void move_to(AlignedText& text, size_t end) {
    if (tracked_) {
      const auto input_position = [&](size_t i) {
        return i < text.origin.size() ? text.origin[i].begin : text.origin.empty() ? 0 : text.origin.back().end;
      };
      origin_.push_back(static_cast<uint32_t>(end));
      std::vector<Span> spans(text_.size());
      for (size_t i = 0; i < text_.size(); ++i) spans[i] = {input_position(origin_[i]), input_position(origin_[i + 1])};
      text.origin = std::move(spans);
    }
    text.text = std::move(text_);
  }

  std::string& text() { return text_; }

 private:
  bool tracked_;
  std::string text_;
  std::vector<uint32_t> origin_;
};

}  // namespace

SentencePieceNormalizer::SentencePieceNormalizer(std::shared_ptr<const SentencePieceFile> file)
    : file_(std::move(file)),
      map_(file_->charsmap, "normalizer_spec.precompiled_charsmap"),
      user_defined_(user_defined_keys(*file_)) {}

void SentencePieceNormalizer::normalize(AlignedText& text) const {
  const std::string_view input = text.text;
  const char* const end = input.data() + input.size();
  const std::string_view space = file_->escape_whitespaces ? space_marker : " ";
  const bool removes = file_->remove_extra_whitespaces;
  // What the text at `at` becomes, and how much of it that uses up.
  const auto rewritten = [&](size_t at, size_t& used) -> std::string_view {
    int32_t piece = 0;
    if (const uint32_t bytes = user_defined_.longest(input.data() + at, end, piece); bytes > 0)
      return input.substr(at, used = bytes);
    if (const Charsmap::Rule rule = map_.longest(input.substr(at)); rule.bytes > 0) {
      used = rule.bytes;
      return rule.replacement;
    }
    return input.substr(at, used = utf8_length(input[at]));
  };

  Output out(text.tracked);
  out.text().reserve(input.size() + input.size() / 2 + 8);
  size_t at = 0, used = 0;
  if (removes)
    while (at < input.size() && rewritten(at, used) == " ") at += used;
  if (at == input.size()) return out.move_to(text, at);
  if (!file_->whitespace_as_suffix && file_->add_dummy_prefix) out.append(space, at);
  bool after_space = removes;
  while (at < input.size()) {
    // Most text: a letter of ASCII before another, which no rule touches.
    const char c = input[at];
    if (c > ' ' && (at + 1 == input.size() || !(input[at + 1] & 0x80)) && map_.keeps_ascii(c) &&
        user_defined_.empty()) {
      out.append(input.substr(at, 1), at);
      after_space = false;
      ++at;
      continue;
    }
    std::string_view fresh = rewritten(at, used);
    while (after_space && fresh.starts_with(' ')) fresh.remove_prefix(1);
    for (size_t i = 0; i < fresh.size();) {
      const size_t stop = fresh[i] == ' ' ? i + 1 : std::min(fresh.find(' ', i), fresh.size());
      out.append(fresh[i] == ' ' ? space : fresh.substr(i, stop - i), at);
      i = stop;
    }
    if (!fresh.empty()) after_space = removes && fresh.ends_with(' ');
    at += used;
  }
  if (removes)
    while (!out.empty() && out.ends_with(space)) at = out.shorten(space.size());
  if (file_->whitespace_as_suffix && file_->add_dummy_prefix) out.append(space, at);
  out.move_to(text, at);
}

}  // namespace qkv
