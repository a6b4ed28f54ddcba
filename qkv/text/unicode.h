// UTF-8 and the Unicode character classes that tokenizers ask about.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

constexpr char32_t replacement_character = 0xFFFD;
constexpr char32_t code_point_end = 0x110000;

// The code point at `p`, which is moved behind it. The text must be valid UTF-8 and not at its end.
inline char32_t next_code_point(const char*& p) {
  const auto* u = reinterpret_cast<const unsigned char*>(p);
  if (u[0] < 0x80) return p += 1, u[0];
  if (u[0] < 0xE0) return p += 2, char32_t(u[0] & 0x1F) << 6 | (u[1] & 0x3F);
  if (u[0] < 0xF0) return p += 3, char32_t(u[0] & 0x0F) << 12 | char32_t(u[1] & 0x3F) << 6 | (u[2] & 0x3F);
  return p += 4, char32_t(u[0] & 0x07) << 18 | char32_t(u[1] & 0x3F) << 12 | char32_t(u[2] & 0x3F) << 6 | (u[3] & 0x3F);
}

// Bytes of the code point that begins with `first`.
inline int utf8_length(char first) {
  const auto u = static_cast<unsigned char>(first);
  return u < 0x80 ? 1 : u < 0xE0 ? 2 : u < 0xF0 ? 3 : 4;
}

inline bool utf8_continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

void append_utf8(std::string& out, char32_t c);
std::string utf8(char32_t c);
std::vector<char32_t> code_points(std::string_view valid);

bool is_ascii(std::string_view text);
int64_t count_code_points(std::string_view valid);

// Position of the first byte that is not part of well-formed UTF-8 (Unicode 3.9, table 3-7), or npos.
size_t invalid_utf8(std::string_view bytes);

// Throws Error naming `where` and the position of the first invalid byte.
void require_utf8(std::string_view bytes, std::string_view where);

// Each maximal ill-formed part becomes one U+FFFD, as in Python's errors="replace".
std::string lossy_utf8(std::string_view bytes);

// Bits of a code point's classes.
enum CharClass : uint8_t {
  letter = 1,       // L
  number = 2,       // N
  white_space = 4,  // the White_Space property
  word = 8,         // Alphabetic, M, Nd, Pc and the two joiners (Unicode Technical Standard 18)

  // These as the reference implementation's tables have them, which are of Unicode 8 and (mark) 9; published models
  // were trained with them. Newer characters are in none of these classes.
  mark = 16,              // M
  punctuation = 32,       // P, and all ASCII symbols
  nonspacing_mark = 64,   // Mn
  control_or_null = 128,  // Cc, Cf, Co, U+0000 and U+FFFD, but not tab, line feed, carriage return
};

namespace detail {
// Filled a page of 256 code points at a time, when one of them is asked for: all would take a millisecond or two of
// every start.
struct CharClassTable {
  const uint8_t* classes;
  const std::atomic<bool>* filled;
};
CharClassTable char_class_table();
void fill_char_classes(char32_t page);
}  // namespace detail

// The classes of every code point; two table lookups.
class CharClasses {
 public:
  CharClasses() : table_(detail::char_class_table()) {}
  uint8_t operator()(char32_t c) const {
    if (!table_.filled[c >> 8].load(std::memory_order_acquire)) detail::fill_char_classes(c >> 8);
    return table_.classes[c];
  }
  uint8_t ascii(char c) const { return table_.classes[static_cast<unsigned char>(c)]; }

 private:
  detail::CharClassTable table_;
};

// The major version of Unicode that brought the character; 0 for what is not assigned.
int unicode_age(char32_t c);

// Ideographs that BERT puts spaces around (the ranges of the original's _is_chinese_char, as the reference
// implementation has them).
bool is_cjk(char32_t c);

}  // namespace qkv
