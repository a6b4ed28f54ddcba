// Python's % on strings.
#include "qkv/core/error.h"
#include "qkv/text/template/allowance.h"
#include "qkv/text/template/builtins.h"
#include "qkv/text/unicode.h"

#include <algorithm>
#include <cmath>

namespace qkv::jinja {
namespace {

// One place of a format: %[flags][width][.precision]kind.
struct Place {
  std::string flags;
  size_t width = 0;
  int precision = -1;
  char kind = ' ';
};

// Reads a place behind its percent sign; `at` ends behind it.
Place place_at(const std::string& format, size_t& at) {
  Place place;
  const auto now = [&] { return at < format.size() ? format[at] : ' '; };
  const auto number = [&] {
    int value = 0;
    for (; now() >= '0' && now() <= '9'; ++at) {
      value = value * 10 + (now() - '0');
      if (value > 1000) throw Error("template", "a format asks for a width of more than 1000");
    }
    return value;
  };
  while (at < format.size() && std::string_view("-+ #0").find(format[at]) != std::string_view::npos) {
    if (place.flags.find(format[at]) == std::string::npos) place.flags += format[at];
    ++at;
  }
  place.width = static_cast<size_t>(number());
  if (now() == '.') {
    ++at;
    place.precision = std::min(number(), 100);
  }
  place.kind = now();
  ++at;
  return place;
}

std::string printed(const Place& place, const Value& value) {
  std::string code = "%";
  for (const char flag : place.flags)
    if (flag == '+' || flag == ' ' || flag == '#') code += flag;
  char buffer[512];
  switch (place.kind) {
    case 's':
    case 'r': {
      const std::string text = place.kind == 's' ? value.str() : value.repr();
      if (place.precision < 0) return text;
      std::string out;
      std::vector<char32_t> all = code_points(text);
      all.resize(std::min(all.size(), static_cast<size_t>(place.precision)));
      for (const char32_t c : all) append_utf8(out, c);
      return out;
    }
    case 'd':
    case 'i': {
      if (value.is<double>() && !(std::abs(value.as_number()) < 9e18))
        throw Error("template", "a number is too large for an integer");
      const int64_t number = value.is<double>() ? static_cast<int64_t>(value.as_number()) : value.as_integer();
      return {buffer, static_cast<size_t>(std::snprintf(buffer, sizeof buffer, (code + "lld").c_str(),
                                                        static_cast<long long>(number)))};
    }
    case 'e':
    case 'f':
    case 'g': {
      code += ".*";
      code += place.kind;
      return {buffer, static_cast<size_t>(std::snprintf(buffer, sizeof buffer, code.c_str(),
                                                        place.precision < 0 ? 6 : place.precision, value.as_number()))};
    }
    default:
      throw Error("template", fmt::format("a format of kind '{}' is not known", place.kind));
  }
}

}  // namespace

std::string formatted(const std::string& format, const Value& values) {
  const List* tuple = values.list();
  if (tuple != nullptr && tuple->row != Value::Row::tuple) tuple = nullptr;
  const size_t count = tuple != nullptr ? tuple->items.size() : 1;
  std::string out;
  size_t used = 0;
  for (size_t at = 0; at < format.size();) {
    if (format[at] != '%') {
      out += format[at++];
      continue;
    }
    const Place place = place_at(format, ++at);
    if (place.kind == '%') {
      out += '%';
      continue;
    }
    if (used >= count) throw Error("template", "a format has fewer values than places");
    std::string text = printed(place, tuple != nullptr ? tuple->items[used] : values);
    ++used;
    const size_t width = static_cast<size_t>(count_code_points(text));
    if (width < place.width) {
      const bool number = place.kind != 's' && place.kind != 'r';
      const std::string space(place.width - width, ' ');
      if (place.flags.find('-') != std::string::npos) {
        text += space;
      } else if (number && place.flags.find('0') != std::string::npos && std::isdigit(text.back())) {
        text.insert(std::isdigit(text[0]) ? 0 : 1, std::string(space.size(), '0'));
      } else {
        text = space + text;
      }
    }
    out += text;
    Allowance::check_length(out.size());
  }
  if (used < count && values.dict() == nullptr) throw Error("template", "a format has fewer places than values");
  return out;
}

}  // namespace qkv::jinja
