// Strings cut into parts.
#include "qkv/core/error.h"
#include "qkv/text/template/search.h"
#include "qkv/text/template/string_methods.h"
#include "qkv/text/unicode.h"

#include <algorithm>

namespace qkv::jinja {
namespace {

// Python's: the property White_Space, and the four separators of ASCII.
bool is_space(char32_t c) { return (CharClasses()(c) & white_space) != 0 || (c >= 0x1C && c <= 0x1F); }

std::string text_of(const std::vector<char32_t>& characters, size_t begin, size_t end) {
  std::string out;
  for (size_t i = begin; i < end; ++i) append_utf8(out, characters[i]);
  return out;
}

// Words between white space, `most` cuts from the left; from the right, all of it reversed.
std::vector<Value> words(std::vector<char32_t> all, int64_t most, bool from_right) {
  if (from_right) std::reverse(all.begin(), all.end());
  const auto place = [&](size_t at, bool space) {
    while (at < all.size() && is_space(all[at]) != space) ++at;
    return at;
  };
  std::vector<std::vector<char32_t>> parts;
  for (size_t at = place(0, false); at < all.size();) {
    const size_t end = most-- > 0 ? place(at, true) : all.size();
    const size_t next = place(end, false);
    parts.emplace_back(all.begin() + static_cast<ptrdiff_t>(at), all.begin() + static_cast<ptrdiff_t>(end));
    at = next;
  }
  std::vector<Value> out;
  for (std::vector<char32_t>& part : parts) {
    if (from_right) std::reverse(part.begin(), part.end());
    out.emplace_back(text_of(part, 0, part.size()));
  }
  if (from_right) std::reverse(out.begin(), out.end());
  return out;
}

std::string reversed(std::string_view text) { return {text.rbegin(), text.rend()}; }

// Parts between separators, `most` cuts from the left.
std::vector<std::string> between(const std::string& text, const std::string& separator, int64_t most) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t at = 0; most-- > 0 && (at = find_text(text, separator, begin)) != std::string::npos;) {
    parts.push_back(text.substr(begin, at - begin));
    begin = at + separator.size();
  }
  parts.push_back(text.substr(begin));
  return parts;
}

bool ends_line(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

}  // namespace

Value split(const std::string& text, const Arguments& a, bool from_right) {
  const Value separator = a.get(0, "sep");
  int64_t most = a.get(1, "maxsplit", int64_t{-1}).as_integer();
  if (most < 0) most = INT64_MAX;
  if (separator.none()) return Value::list(words(code_points(text), most, from_right));
  if (!separator.string() || separator.text()->empty())
    throw Error("template", "split needs a separator that is a string and not empty");
  std::vector<std::string> parts =
      from_right ? between(reversed(text), reversed(*separator.text()), most) : between(text, *separator.text(), most);
  std::vector<Value> values;
  for (const std::string& part : parts) values.emplace_back(from_right ? reversed(part) : part);
  if (from_right) std::reverse(values.begin(), values.end());
  return Value::list(std::move(values));
}

Value splitlines(const std::string& text, const Arguments& a) {
  const bool keep = a.get(0, "keepends", false).truth();
  const std::vector<char32_t> all = code_points(text);
  std::vector<Value> lines;
  for (size_t begin = 0; begin < all.size();) {
    size_t end = begin;
    while (end < all.size() && !ends_line(all[end])) ++end;
    size_t next = std::min(end + 1, all.size());
    if (next < all.size() && all[end] == U'\r' && all[next] == U'\n') ++next;
    lines.emplace_back(text_of(all, begin, keep ? next : end));
    begin = next;
  }
  return Value::list(std::move(lines));
}

}  // namespace qkv::jinja
