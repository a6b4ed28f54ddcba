// Tokens to a tree, with Jinja's grammar and precedence.
#pragma once

#include "qkv/text/template/tree.h"

#include <string_view>

namespace qkv::jinja {

// Throws Error with the line of what cannot be read; templates that name other files are refused.
Body parse(std::string_view source);

}  // namespace qkv::jinja
