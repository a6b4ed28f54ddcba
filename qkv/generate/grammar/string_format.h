// Formats of strings in JSON Schemas, as patterns.
#pragma once

#include <string>
#include <string_view>

namespace qkv {

// A regular expression all of whose texts have the format, though not all of the format's texts need match: dates and
// times are of the years from 1000 to 9999 and without leap seconds, and addresses short. Empty: the format is not
// known.
std::string pattern_of_format(std::string_view name);

}  // namespace qkv
