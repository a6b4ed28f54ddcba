#include "qkv/text/aligned_text.h"

namespace qkv {

AlignedText AlignedText::of(std::string_view input, size_t begin, size_t end, bool tracked) {
  AlignedText out{std::string(input.substr(begin, end - begin)), {}, tracked};
  if (!tracked) return out;
  out.origin.reserve(end - begin);
  for (size_t i = begin; i < end;) {
    const auto length = static_cast<size_t>(utf8_length(input[i]));
    out.origin.insert(out.origin.end(), length, {static_cast<uint32_t>(i), static_cast<uint32_t>(i + length)});
    i += length;
  }
  return out;
}

void AlignedText::append(const AlignedText& other, size_t begin, size_t end) {
  text.append(other.text, begin, end - begin);
  if (tracked) origin.insert(origin.end(), other.origin.begin() + begin, other.origin.begin() + end);
}

Rewrite::~Rewrite() {
  old_.text = std::move(fresh_);
  old_.origin = std::move(fresh_origin_);
}

char32_t Rewrite::peek() const {
  const char* p = old_.text.data() + at_;
  return next_code_point(p);
}

void Rewrite::put(char32_t c, Span from) {
  const size_t before = fresh_.size();
  append_utf8(fresh_, c);
  if (old_.tracked) fresh_origin_.insert(fresh_origin_.end(), fresh_.size() - before, from);
}

void Rewrite::replace(char32_t c) {
  put(c, old_.tracked ? old_.origin[at_] : Span{});
  drop();
}

void Rewrite::drop() { at_ += utf8_length(old_.text[at_]); }

void Rewrite::insert(char32_t c) {
  Span from;
  if (old_.tracked && !old_.origin.empty())
    from = at_ > 0 ? old_.origin[at_ - 1] : Span{old_.origin[0].begin, old_.origin[0].begin};
  put(c, from);
}

void apply_changes(AlignedText& text, const std::vector<Change>& changes) {
  Rewrite rewrite(text);
  for (const Change& change : changes) {
    if (change.growth > 0 || rewrite.done()) {
      rewrite.insert(change.c);
      continue;
    }
    rewrite.replace(change.c);
    for (int i = change.growth; i < 0 && !rewrite.done(); ++i) rewrite.drop();
  }
}

}  // namespace qkv
