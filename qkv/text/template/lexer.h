// Cuts a template into text, tags and the tokens inside them, with Jinja's rules for white space as transformers sets
// them: trim_blocks and lstrip_blocks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qkv::jinja {

struct Token {
  enum class Kind : uint8_t {
    text,         // between tags
    print_begin,  // {{
    print_end,
    block_begin,  // {%
    block_end,
    name,
    string,
    integer,
    number,
    symbol,  // an operator or bracket
    end,
  };
  Kind kind = Kind::end;
  std::string value;
  int line = 1;
};

// Throws Error for tags that do not end and characters that mean nothing.
std::vector<Token> tokens_of(std::string_view source);

}  // namespace qkv::jinja
