#include "qkv/serve/access.h"

#include "qkv/serve/api_error.h"

#include <algorithm>
#include <optional>

namespace qkv {
namespace {

// "localhost:8080" -> "localhost", "[::1]:8080" -> "[::1]"
std::string_view without_port(std::string_view host) {
  const size_t bracket = host.rfind(']');
  const size_t colon = host.rfind(':');
  if (colon == std::string_view::npos || (bracket != std::string_view::npos && colon < bracket)) return host;
  return host.substr(0, colon);
}

// RFC 9110's token.
bool is_header_name(std::string_view text) {
  constexpr std::string_view others = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           others.find(c) != std::string_view::npos;
  });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

bool equal_in_constant_time(std::string_view given, std::string_view secret) {
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (size_t i = 0; i < secret.size(); ++i) {
    const char c = given.empty() ? '\0' : given[i % given.size()];
    difference |= static_cast<unsigned>(static_cast<unsigned char>(c) ^ static_cast<unsigned char>(secret[i]));
  }
  return difference == 0;
}

size_t check_key(const HttpRequest& request, std::span<const std::string> keys) {
  constexpr std::string_view scheme = "Bearer ";
  std::string_view given = request.header("authorization");
  if (!given.starts_with(scheme))
    throw ApiError(401, "You didn't provide an API key: send it as 'Authorization: Bearer KEY'.", "",
                   "invalid_api_key");
  given.remove_prefix(scheme.size());
  std::optional<size_t> found;
  for (size_t i = 0; i < keys.size(); ++i)
    if (equal_in_constant_time(given, keys[i])) found = i;
  if (!found) throw ApiError(401, "Incorrect API key provided.", "", "invalid_api_key");
  return *found;
}

void check_host(const HttpRequest& request, std::span<const std::string> hosts) {
  if (hosts.empty()) return;
  const std::string_view host = without_port(request.header("host"));
  if (std::find(hosts.begin(), hosts.end(), host) == hosts.end())
    throw ApiError(403, "This server is not called by that name.", "", "unknown_host");
}

bool is_cross_origin(const HttpRequest& request, std::span<const std::string> origins) {
  const std::string_view origin = request.header("origin");
  if (origin.empty()) return false;
  const size_t scheme = origin.find("://");
  if (scheme != std::string_view::npos && origin.substr(scheme + 3) == request.header("host")) return false;
  for (const std::string& allowed : origins)
    if (allowed == "*" || allowed == origin) return true;
  throw ApiError(403, "Pages from elsewhere may not use this server; --cors allows them.", "", "cross_origin");
}

std::string allowed_headers(const HttpRequest& request) {
  std::string allowed;
  for (std::string_view asked = request.header("access-control-request-headers"); !asked.empty();) {
    const size_t comma = std::min(asked.find(','), asked.size());
    const std::string_view name = trimmed(asked.substr(0, comma));
    if (is_header_name(name)) allowed.append(allowed.empty() ? "" : ", ").append(name);
    asked.remove_prefix(std::min(comma + 1, asked.size()));
  }
  return allowed.empty() ? "Authorization, Content-Type" : allowed;
}

}  // namespace qkv
