#include "qkv/text/template/string_methods.h"

#include "qkv/core/error.h"
#include "qkv/text/template/allowance.h"
#include "qkv/text/template/builtins.h"
#include "qkv/text/template/case.h"
#include "qkv/text/template/search.h"
#include "qkv/text/unicode.h"

#include <algorithm>
#include <array>

namespace qkv::jinja {
namespace {

const std::string& text_at(const Arguments& a, size_t index) {
  const std::string* text = a.at(index).text();
  if (text == nullptr) throw Error("template", fmt::format("a method expected a string, got {}", a.at(index).type()));
  return *text;
}

// Characters of `set` (null: white space) are cut off the ends.
Value strip(const std::string& text, const Arguments& a, bool left, bool right) {
  const CharClasses classes;
  const Value given = a.get(0, "chars");
  std::vector<char32_t> set;
  if (given.string()) set = code_points(*given.text());
  const auto cut = [&](char32_t c) {
    if (!given.string()) return (classes(c) & white_space) != 0 || (c >= 0x1C && c <= 0x1F);
    return std::find(set.begin(), set.end(), c) != set.end();
  };
  const std::vector<char32_t> all = code_points(text);
  size_t begin = 0, end = all.size();
  while (left && begin < end && cut(all[begin])) ++begin;
  while (right && end > begin && cut(all[end - 1])) --end;
  std::string out;
  for (size_t i = begin; i < end; ++i) append_utf8(out, all[i]);
  return out;
}

Value replace(const std::string& text, const Arguments& a) {
  const std::string& from = text_at(a, 0);
  const std::string& to = text_at(a, 1);
  int64_t most = a.get(2, "count", int64_t{-1}).none() ? -1 : a.get(2, "count", int64_t{-1}).as_integer();
  if (most < 0) most = INT64_MAX;
  std::string out;
  size_t begin = 0;
  if (from.empty()) {
    while (begin <= text.size() && most-- > 0) {
      out += to;
      const size_t width = begin < text.size() ? static_cast<size_t>(utf8_length(text[begin])) : 1;
      out += text.substr(std::min(begin, text.size()), width);
      begin += width;
      Allowance::check_length(out.size());
    }
    return begin < text.size() ? out + text.substr(begin) : out;
  }
  size_t at;
  while (most-- > 0 && (at = find_text(text, from, begin)) != std::string::npos) {
    out.append(text, begin, at - begin);
    out += to;
    begin = at + from.size();
    Allowance::check_length(out.size());
  }
  return out + text.substr(begin);
}

bool affixed(const std::string& text, const Arguments& a, bool end) {
  const auto matches = [&](const Value& part) {
    if (!part.string()) throw Error("template", fmt::format("a method expected a string, got {}", part.type()));
    return end ? text.ends_with(*part.text()) : text.starts_with(*part.text());
  };
  if (const List* list = a.at(0).list()) return std::any_of(list->items.begin(), list->items.end(), matches);
  return matches(a.at(0));
}

Value position(const std::string& text, size_t byte) {
  return byte == std::string::npos ? Value(int64_t{-1})
                                   : Value(count_code_points(std::string_view(text).substr(0, byte)));
}

int64_t occurrences(const std::string& text, const std::string& part) {
  if (part.empty()) return count_code_points(text) + 1;
  int64_t count = 0;
  for (size_t at = find_text(text, part); at != std::string::npos; at = find_text(text, part, at + part.size()))
    ++count;
  return count;
}

template <typename Condition>
bool all_characters(const std::string& text, Condition&& condition) {
  const std::vector<char32_t> all = code_points(text);
  return !all.empty() && std::all_of(all.begin(), all.end(), condition);
}

Value joined(const std::string& between, const Arguments& a) {
  std::string out;
  bool first = true;
  for (const Value& item : items_of(a.at(0))) {
    if (!item.string()) throw Error("template", fmt::format("join expected strings, got {}", item.type()));
    out += (first ? "" : between) + *item.text();
    first = false;
    Allowance::check_length(out.size());
  }
  return out;
}

// "{} {0} {name}" of str.format, without format specifications.
Value filled(const std::string& format, const Arguments& a) {
  std::string out;
  size_t next = 0;
  for (size_t i = 0; i < format.size(); ++i) {
    const char c = format[i];
    if ((c == '{' || c == '}') && i + 1 < format.size() && format[i + 1] == c) {
      out += c;
      ++i;
    } else if (c == '{') {
      const size_t end = format.find('}', i);
      const std::string name = format.substr(i + 1, end == std::string::npos ? end : end - i - 1);
      if (end == std::string::npos ||
          name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") !=
              std::string::npos)
        throw Error("template", "format knows {}, {0} and {name} only");
      if (name.empty()) {
        out += a.at(next++).str();
      } else if (name.find_first_not_of("0123456789") == std::string::npos && name.size() < 4) {
        out += a.at(std::stoul(name)).str();
      } else {
        const Value value = a.get(SIZE_MAX, name, Undefined{name});
        if (value.undefined()) throw Error("template", fmt::format("format has no argument '{}'", name));
        out += value.str();
      }
      i = end;
    } else {
      out += c;
    }
    Allowance::check_length(out.size());
  }
  return out;
}

using Method = Value (*)(const std::string& text, const Arguments& a);
struct MethodEntry {
  std::string_view name;
  size_t most;  // arguments
  Method method;
};
constexpr std::array<MethodEntry, 27> string_methods = {
    {{"strip", 1, [](const std::string& s, const Arguments& a) { return strip(s, a, true, true); }},
     {"lstrip", 1, [](const std::string& s, const Arguments& a) { return strip(s, a, true, false); }},
     {"rstrip", 1, [](const std::string& s, const Arguments& a) { return strip(s, a, false, true); }},
     {"split", 2, [](const std::string& s, const Arguments& a) { return split(s, a, false); }},
     {"rsplit", 2, [](const std::string& s, const Arguments& a) { return split(s, a, true); }},
     {"splitlines", 1, splitlines},
     {"replace", 3, replace},
     {"startswith", 1, [](const std::string& s, const Arguments& a) { return Value(affixed(s, a, false)); }},
     {"endswith", 1, [](const std::string& s, const Arguments& a) { return Value(affixed(s, a, true)); }},
     {"upper", 0, [](const std::string& s, const Arguments&) { return Value(upper_case(s)); }},
     {"lower", 0, [](const std::string& s, const Arguments&) { return Value(lower_case(s)); }},
     {"title", 0, [](const std::string& s, const Arguments&) { return Value(title_case(s)); }},
     {"capitalize", 0, [](const std::string& s, const Arguments&) { return Value(capitalized(s)); }},
     {"find", 1, [](const std::string& s, const Arguments& a) { return position(s, find_text(s, text_at(a, 0))); }},
     {"rfind", 1, [](const std::string& s, const Arguments& a) { return position(s, rfind_text(s, text_at(a, 0))); }},
     {"index", 1,
      [](const std::string& s, const Arguments& a) {
        const size_t at = find_text(s, text_at(a, 0));
        if (at == std::string::npos) throw Error("template", "index found nothing");
        return position(s, at);
      }},
     {"count", 1, [](const std::string& s, const Arguments& a) { return Value(occurrences(s, text_at(a, 0))); }},
     {"join", 1, joined},
     {"format", SIZE_MAX, filled},
     {"removeprefix", 1,
      [](const std::string& s, const Arguments& a) {
        const std::string& part = text_at(a, 0);
        return Value(s.starts_with(part) ? s.substr(part.size()) : s);
      }},
     {"removesuffix", 1,
      [](const std::string& s, const Arguments& a) {
        const std::string& part = text_at(a, 0);
        return Value(s.ends_with(part) ? s.substr(0, s.size() - part.size()) : s);
      }},
     {"isdigit", 0,
      [](const std::string& s, const Arguments&) {
        return Value(all_characters(s, [](char32_t c) { return c >= '0' && c <= '9'; }));
      }},
     {"isalpha", 0,
      [](const std::string& s, const Arguments&) {
        return Value(all_characters(s, [](char32_t c) { return (CharClasses()(c) & letter) != 0; }));
      }},
     {"isalnum", 0,
      [](const std::string& s, const Arguments&) {
        return Value(all_characters(s, [](char32_t c) { return (CharClasses()(c) & (letter | number)) != 0; }));
      }},
     {"isspace", 0,
      [](const std::string& s, const Arguments&) {
        return Value(all_characters(s, [](char32_t c) { return (CharClasses()(c) & white_space) != 0; }));
      }},
     {"isupper", 0,
      [](const std::string& s, const Arguments&) { return Value(upper_case(s) == s && lower_case(s) != s); }},
     {"islower", 0,
      [](const std::string& s, const Arguments&) { return Value(lower_case(s) == s && upper_case(s) != s); }}}};

}  // namespace

Value string_method(const Value& value, const std::string& name) {
  for (const MethodEntry& entry : string_methods)
    if (entry.name == name)
      return Function([value, &entry](const Arguments& a) {
        a.at_most(entry.most);
        return entry.method(*value.text(), a);
      });
  return Undefined{name};
}

}  // namespace qkv::jinja
