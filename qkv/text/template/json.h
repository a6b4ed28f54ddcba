// Template values as JSON, as Python's json.dumps writes them.
#pragma once

#include "qkv/text/template/value.h"

#include <optional>
#include <string>

namespace qkv::jinja {

struct JsonStyle {
  bool ascii = false;                      // other characters are \uXXXX
  std::optional<std::string> indent = {};  // of each level, on lines of their own; none: all on one line
  std::string between = ", ";
  std::string after_key = ": ";
  bool sort_keys = false;
};

// Throws Error for values that JSON has no word for.
std::string to_json(const Value& value, const JsonStyle& style = {});

// The filter "tojson" as transformers defines it: (ensure_ascii=False, indent=None, separators=None, sort_keys=False).
Value json_filter(const Value& value, const Arguments& arguments);

}  // namespace qkv::jinja
