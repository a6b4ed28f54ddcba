// Is this text at all?
#pragma once

#include <string>
#include <string_view>

namespace qkv {

// Throws Error naming `where` and the first offending byte unless `text` is UTF-8 (no surrogates, no overlong forms)
// without NUL bytes. Runs at memory speed on ASCII.
void check_text(std::string_view text, const std::string& where);

}  // namespace qkv
