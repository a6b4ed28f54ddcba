// Who may ask: API keys, and pages of other servers in somebody's browser.
#pragma once

#include "qkv/serve/http.h"

#include <span>
#include <string>
#include <string_view>

namespace qkv {

// Whether two texts are equal, in a time that does not tell how far they are.
bool equal_in_constant_time(std::string_view given, std::string_view secret);

// The place in `keys` of the request's "Authorization: Bearer KEY". Throws ApiError 401 without one of them.
size_t check_key(const HttpRequest& request, std::span<const std::string> keys);

// Throws ApiError 403 when the Host header names none of `hosts` (any port; none given: all).
void check_host(const HttpRequest& request, std::span<const std::string> hosts);

// Whether a browser sent this for a page from elsewhere. Throws ApiError 403 unless the page's origin is among
// `origins`, or "*" is.
bool is_cross_origin(const HttpRequest& request, std::span<const std::string> origins);

// The headers that a page elsewhere asks to send ("Access-Control-Request-Headers"), to be allowed: of its list those
// that are names of headers; where it asks for none, those that OpenAI's API knows.
std::string allowed_headers(const HttpRequest& request);

}  // namespace qkv
