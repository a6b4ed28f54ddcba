#include "qkv/text/template/case.h"

#include "qkv/text/unicode.h"

#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

namespace qkv::jinja {
namespace {

icu::UnicodeString wide(const std::string& text) { return icu::UnicodeString::fromUTF8(text); }

std::string narrow(const icu::UnicodeString& text) {
  std::string out;
  text.toUTF8String(out);
  return out;
}

}  // namespace

std::string upper_case(const std::string& text) { return narrow(wide(text).toUpper(icu::Locale::getRoot())); }
std::string lower_case(const std::string& text) { return narrow(wide(text).toLower(icu::Locale::getRoot())); }

std::string title_case(const std::string& text) {
  std::string out;
  bool inside = false;
  for (const char32_t c : code_points(text)) {
    const auto point = static_cast<UChar32>(c);
    append_utf8(out, static_cast<char32_t>(inside ? u_tolower(point) : u_totitle(point)));
    inside = u_isalpha(point) != 0;
  }
  return out;
}

std::string capitalized(const std::string& text) {
  if (text.empty()) return text;
  const size_t first = static_cast<size_t>(utf8_length(text[0]));
  std::string out;
  append_utf8(out, static_cast<char32_t>(u_totitle(static_cast<UChar32>(code_points(text.substr(0, first))[0]))));
  return out + lower_case(text.substr(first));
}

}  // namespace qkv::jinja
