// Finding one text in another in time linear in both, whatever they are: std::string::find takes their product in the
// worst case.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace qkv::jinja {

// As std::string's find and rfind.
size_t find_text(std::string_view text, std::string_view part, size_t from = 0);
size_t rfind_text(std::string_view text, std::string_view part);

}  // namespace qkv::jinja
