// Filters that make text of a value.
#include "qkv/core/error.h"
#include "qkv/text/template/allowance.h"
#include "qkv/text/template/builtins.h"
#include "qkv/text/template/case.h"
#include "qkv/text/template/filter_tables.h"
#include "qkv/text/template/json.h"
#include "qkv/text/unicode.h"

#include <algorithm>
#include <array>

namespace qkv::jinja {
namespace {

using std::literals::operator""sv;

std::string text_of(const Value& value) { return value.str(); }

Value trim(const Value& value, const Arguments& a) {
  const Value characters = a.get(0, "chars");
  return method_of(text_of(value), "strip").call()(characters.none() ? Arguments{} : Arguments{{characters}, {}});
}

Value upper(const Value& value, const Arguments&) { return upper_case(text_of(value)); }
Value lower(const Value& value, const Arguments&) { return lower_case(text_of(value)); }
Value capitalize(const Value& value, const Arguments&) { return capitalized(text_of(value)); }

// Words begin behind spaces, hyphens and opening brackets, so that "it's" becomes "It's".
Value title(const Value& value, const Arguments&) {
  std::string out, word;
  const auto close = [&] {
    const size_t first = word.empty() ? 0 : static_cast<size_t>(utf8_length(word[0]));
    out += upper_case(word.substr(0, first)) + lower_case(word.substr(first));
    word.clear();
  };
  for (const char32_t c : code_points(text_of(value))) {
    if ((CharClasses()(c) & white_space) != 0 || U"-({[<"sv.find(c) != std::u32string_view::npos) {
      close();
      append_utf8(out, c);
    } else {
      append_utf8(word, c);
    }
  }
  close();
  return out;
}

Value replace(const Value& value, const Arguments& a) {
  Arguments rest = a;
  for (Value& part : rest.values)
    if (!part.number() && !part.none()) part = text_of(part);
  return method_of(text_of(value), "replace").call()(rest);
}

Value indent(const Value& value, const Arguments& a) {
  const Value width = a.get(0, "width", int64_t{4});
  const std::string space =
      width.string() ? *width.text()
                     : std::string(static_cast<size_t>(std::clamp<int64_t>(width.as_integer(), 0, 256)), ' ');
  const bool first = a.get(1, "first", false).truth(), blank = a.get(2, "blank", false).truth();
  if (!value.string()) throw Error("template", fmt::format("indent expected a string, got {}", value.type()));
  // Jinja puts a line feed behind the text before it takes lines, so that an empty last line is one.
  const Value lines = method_of(text_of(value) + "\n", "splitlines").call()({});
  std::string out = first ? space : "";
  for (size_t i = 0; i < lines.list()->items.size(); ++i) {
    const std::string& line = *lines.list()->items[i].text();
    if (i > 0) out += '\n';
    if (i > 0 && (blank || !line.empty())) out += space;
    out += line;
    Allowance::check_length(out.size());
  }
  return out;
}

Value escape(const Value& value, const Arguments&) {
  std::string out;
  for (const char c : text_of(value)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  Allowance::check_length(out.size());
  return out;
}

Value string(const Value& value, const Arguments&) { return text_of(value); }

Value format(const Value& value, const Arguments& a) {
  return formatted(text_of(value), Value::list(a.values, Value::Row::tuple));
}

Value wordcount(const Value& value, const Arguments&) {
  int64_t count = 0;
  bool inside = false;
  for (const char32_t c : code_points(text_of(value))) {
    const bool now = (CharClasses()(c) & (letter | number)) != 0 || c == '_';
    if (now && !inside) ++count;
    inside = now;
  }
  return count;
}

constexpr std::array<FilterEntry, 15> all_text_filters = {{{"capitalize", 0, capitalize},
                                                           {"e", 0, escape},
                                                           {"escape", 0, escape},
                                                           {"forceescape", 0, escape},
                                                           {"format", SIZE_MAX, format},
                                                           {"indent", 3, indent},
                                                           {"lower", 0, lower},
                                                           {"replace", 3, replace},
                                                           {"safe", 0, string},
                                                           {"string", 0, string},
                                                           {"title", 0, title},
                                                           {"tojson", 4, json_filter},
                                                           {"trim", 1, trim},
                                                           {"upper", 0, upper},
                                                           {"wordcount", 0, wordcount}}};

}  // namespace

std::span<const FilterEntry> text_filters() { return all_text_filters; }

}  // namespace qkv::jinja
