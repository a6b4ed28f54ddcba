// GPT-2's bytes as printable characters: a one-to-one map from the 256 bytes to code points that a text file of merges
// can hold. Bytes that print as Latin-1 stay themselves; the others become U+0100 onwards, in order (space is 'Ġ').
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qkv {

char32_t byte_to_char(uint8_t byte);
std::optional<uint8_t> char_to_byte(char32_t c);

// Each byte as its character.
std::string bytes_to_chars(std::string_view bytes);

// The bytes that a token of such characters stands for; nothing when it has any other character.
std::optional<std::string> chars_to_bytes(std::string_view token);

// Tokens that stand for a byte where a vocabulary is in plain characters: "<0x41>".
std::string byte_token(uint8_t byte);
int byte_of_token(std::string_view token);  // -1 when it is not one

}  // namespace qkv
