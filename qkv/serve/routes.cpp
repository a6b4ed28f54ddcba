#include "qkv/serve/routes.h"

#include "qkv/core/hexadecimal.h"

namespace qkv {
namespace {

// Cuts off the path up to the next '/'.
std::string_view next_part(std::string_view& path) {
  path.remove_prefix(path.starts_with('/') ? 1 : 0);
  const std::string_view part = path.substr(0, path.find('/'));
  path.remove_prefix(part.size());
  return part;
}

// "my%2Forg" -> "my/org". What is no escape stays as it is.
std::string without_escapes(std::string_view text) {
  std::string out;
  const auto digit = [&](size_t place) {
    return place < text.size() ? hex_digit(static_cast<unsigned char>(text[place])) : -1;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && digit(i + 1) >= 0 && digit(i + 2) >= 0) {
      out += static_cast<char>(digit(i + 1) * 16 + digit(i + 2));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool matches(std::string_view pattern, std::string_view path, std::map<std::string, std::string>& values) {
  while (!pattern.empty() && !path.empty()) {
    const std::string_view want = next_part(pattern), part = next_part(path);
    if (want.starts_with('{') && want.ends_with('}') && !part.empty()) {
      values[std::string(want.substr(1, want.size() - 2))] = without_escapes(part);
    } else if (want != part) {
      return false;
    }
  }
  return pattern.empty() && path.empty();
}

}  // namespace

const Routes::Route* Routes::find(std::string_view method, std::string_view path,
                                  std::map<std::string, std::string>& values) const {
  for (const Route& route : routes_) {
    values.clear();
    if ((route.method == method || (method == "HEAD" && route.method == "GET")) && matches(route.path, path, values))
      return &route;
  }
  return nullptr;
}

std::string Routes::methods(std::string_view path) const {
  std::string all;
  std::map<std::string, std::string> values;
  for (const Route& route : routes_)
    if (matches(route.path, path, values)) all += (all.empty() ? "" : ", ") + route.method;
  return all;
}

}  // namespace qkv
