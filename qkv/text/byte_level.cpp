#include "qkv/text/byte_level.h"

#include "qkv/core/hexadecimal.h"
#include "qkv/text/unicode.h"

#include <array>

namespace qkv {
namespace {

constexpr char32_t char_limit = 0x180;

struct ByteMap {
  std::array<char32_t, 256> chars{};
  std::array<int16_t, char_limit> bytes{};

  ByteMap() {
    bytes.fill(-1);
    char32_t next = 0x100;
    for (int b = 0; b < 256; ++b) {
      const bool prints = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      chars[b] = prints ? static_cast<char32_t>(b) : next++;
      bytes[chars[b]] = static_cast<int16_t>(b);
    }
  }
};

const ByteMap& byte_map() {
  static const ByteMap map;
  return map;
}

}  // namespace

char32_t byte_to_char(uint8_t byte) { return byte_map().chars[byte]; }

std::optional<uint8_t> char_to_byte(char32_t c) {
  if (c >= char_limit || byte_map().bytes[c] < 0) return std::nullopt;
  return static_cast<uint8_t>(byte_map().bytes[c]);
}

std::string bytes_to_chars(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char b : bytes) append_utf8(out, byte_to_char(static_cast<uint8_t>(b)));
  return out;
}

std::optional<std::string> chars_to_bytes(std::string_view token) {
  std::string out;
  for (const char *p = token.data(), *end = p + token.size(); p < end;) {
    const auto byte = char_to_byte(next_code_point(p));
    if (!byte) return std::nullopt;
    out += static_cast<char>(*byte);
  }
  return out;
}

std::string byte_token(uint8_t byte) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  return {'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'};
}

int byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  const int high = hex_digit(static_cast<unsigned char>(token[3])),
            low = hex_digit(static_cast<unsigned char>(token[4]));
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

}  // namespace qkv
