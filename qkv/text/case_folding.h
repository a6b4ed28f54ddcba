// Texts as they are compared when case does not matter.
#pragma once

#include <string>
#include <string_view>

namespace qkv {

// Two texts that differ in case, or in how the same characters are written (Unicode's compatibility forms), become
// one: "Straße" and "STRASSE" are "strasse". Unicode's NFKC_Casefold; what is no UTF-8 becomes U+FFFD. Throws Error
// when ICU's data is missing.
std::string folded(std::string_view text);

}  // namespace qkv
