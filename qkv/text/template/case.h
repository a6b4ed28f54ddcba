// Upper and lower case of UTF-8 text, without a locale.
#pragma once

#include <string>

namespace qkv::jinja {

std::string upper_case(const std::string& text);
std::string lower_case(const std::string& text);
std::string title_case(const std::string& text);   // each run of letters, as str.title()
std::string capitalized(const std::string& text);  // the first character, as str.capitalize()

}  // namespace qkv::jinja
