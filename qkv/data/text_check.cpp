#include "qkv/data/text_check.h"

#include "qkv/core/error.h"

#include <cstdint>
#include <cstring>

namespace qkv {
namespace {

// Bytes of the UTF-8 sequence at `text[at]`, 0 when it is not one (Unicode 15, table 3-7).
size_t sequence_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) -> unsigned { return at + i < text.size() ? static_cast<uint8_t>(text[at + i]) : 0; };
  const auto follows = [&](size_t i) { return (byte(i) & 0xc0U) == 0x80U; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if (!follows(1) || !follows(2)) return 0;
    const bool overlong = first == 0xe0 && byte(1) < 0xa0;
    const bool surrogate = first == 0xed && byte(1) > 0x9f;
    return overlong || surrogate ? 0 : 3;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (!follows(1) || !follows(2) || !follows(3)) return 0;
    const bool overlong = first == 0xf0 && byte(1) < 0x90;
    const bool too_large = first == 0xf4 && byte(1) > 0x8f;
    return overlong || too_large ? 0 : 4;
  }
  return 0;
}

}  // namespace

void check_text(std::string_view text, const std::string& where) {
  if (text.empty()) return;
  if (const void* zero = std::memchr(text.data(), 0, text.size()))
    throw Error(where, fmt::format("is binary: byte {} is NUL", static_cast<const char*>(zero) - text.data()),
                "name text files, in UTF-8");
  for (size_t at = 0; at < text.size();) {
    uint64_t eight = 0;
    if (at + 8 <= text.size()) {
      std::memcpy(&eight, text.data() + at, 8);
      if ((eight & 0x8080808080808080U) == 0) {
        at += 8;
        continue;
      }
    }
    const size_t length = sequence_length(text, at);
    if (length == 0)
      throw Error(where, fmt::format("is not UTF-8: byte 0x{:02x} at offset {}", static_cast<uint8_t>(text[at]), at),
                  "convert it first, for example: iconv -f LATIN1 -t UTF-8 OLD > NEW");
    at += length;
  }
}

}  // namespace qkv
