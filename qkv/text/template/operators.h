// Python's operators on template values.
#pragma once

#include "qkv/text/template/value.h"

#include <string_view>

namespace qkv::jinja {

// + - * / // % ** ~. Throws Error for types that do not fit, division by zero, and integers beyond 64 bits.
Value binary(std::string_view operation, const Value& a, const Value& b);

// + - not
Value unary(std::string_view operation, const Value& a);

}  // namespace qkv::jinja
