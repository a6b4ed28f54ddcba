// The methods of strings.
#pragma once

#include "qkv/text/template/value.h"

#include <string>

namespace qkv::jinja {

// text.name as a function, or undefined.
Value string_method(const Value& text, const std::string& name);

// text.split(sep=None, maxsplit=-1), or rsplit; text.splitlines(keepends=False).
Value split(const std::string& text, const Arguments& arguments, bool from_right);
Value splitlines(const std::string& text, const Arguments& arguments);

}  // namespace qkv::jinja
