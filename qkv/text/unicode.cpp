#include "qkv/text/unicode.h"

#include "qkv/core/error.h"

#include <unicode/uchar.h>

#include <cstring>
#include <mutex>

namespace qkv {

void append_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

std::string utf8(char32_t c) {
  std::string out;
  append_utf8(out, c);
  return out;
}

std::vector<char32_t> code_points(std::string_view valid) {
  std::vector<char32_t> out;
  out.reserve(valid.size());
  for (const char *p = valid.data(), *end = p + valid.size(); p < end;) out.push_back(next_code_point(p));
  return out;
}

bool is_ascii(std::string_view text) {
  const char* p = text.data();
  const char* const end = p + text.size();
  for (; end - p >= 8; p += 8) {
    uint64_t chunk;
    std::memcpy(&chunk, p, 8);
    if (chunk & 0x8080808080808080U) return false;
  }
  for (; p < end; ++p)
    if (*p & 0x80) return false;
  return true;
}

int64_t count_code_points(std::string_view valid) {
  return std::count_if(valid.begin(), valid.end(), [](char c) { return !utf8_continues(c); });
}

namespace {

// Length of the well-formed sequence at the start of `s`, or minus the length of the ill-formed part to skip.
int sequence_at(std::string_view s) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return -1;
  const int length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  unsigned char low = 0x80, high = 0xBF;  // of the second byte: no overlong forms, surrogates, beyond U+10FFFF
  if (first == 0xE0) low = 0xA0;
  if (first == 0xED) high = 0x9F;
  if (first == 0xF0) low = 0x90;
  if (first == 0xF4) high = 0x8F;
  for (int i = 1; i < length; ++i) {
    if (static_cast<size_t>(i) >= s.size() || byte(i) < low || byte(i) > high) return -i;
    low = 0x80, high = 0xBF;
  }
  return length;
}

}  // namespace

size_t invalid_utf8(std::string_view bytes) {
  for (size_t i = 0; i < bytes.size();) {
    if (bytes.size() - i >= 8) {
      uint64_t chunk;
      std::memcpy(&chunk, bytes.data() + i, 8);
      if ((chunk & 0x8080808080808080U) == 0) {
        i += 8;
        continue;
      }
    }
    const int length = sequence_at(bytes.substr(i, 4));
    if (length < 0) return i;
    i += length;
  }
  return std::string_view::npos;
}

void require_utf8(std::string_view bytes, std::string_view where) {
  const size_t position = invalid_utf8(bytes);
  if (position == std::string_view::npos) return;
  throw Error(where,
              fmt::format("is not valid UTF-8: byte 0x{:02X} at position {}",
                          static_cast<unsigned char>(bytes[position]), position),
              "convert the text to UTF-8 (iconv -f latin1 -t utf-8), or replace the bytes");
}

std::string lossy_utf8(std::string_view bytes) {
  if (invalid_utf8(bytes) == std::string_view::npos) return std::string(bytes);
  std::string out;
  for (size_t i = 0; i < bytes.size();) {
    const int length = sequence_at(bytes.substr(i, 4));
    if (length > 0) {
      out.append(bytes, i, length);
    } else {
      append_utf8(out, replacement_character);
    }
    i += std::abs(length);
  }
  return out;
}

int unicode_age(char32_t c) {
  UVersionInfo version;
  u_charAge(static_cast<UChar32>(c), version);
  return version[0];
}

bool is_cjk(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x2F800 && c <= 0x2FA1F);
}

namespace {

uint8_t classes_by_category(char32_t c, uint32_t category) {
  uint8_t bits = 0;
  if (category & U_GC_L_MASK) bits |= letter;
  if (category & U_GC_N_MASK) bits |= number;
  if (category & U_GC_M_MASK && unicode_age(c) <= 9) bits |= mark;
  const bool joins = c == 0x200C || c == 0x200D;
  if (category & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK) || joins || u_isUAlphabetic(static_cast<UChar32>(c)))
    bits |= word;
  if (u_isUWhiteSpace(static_cast<UChar32>(c))) bits |= white_space;
  const bool ascii_symbol = c < 0x80 && (category & U_GC_S_MASK);
  if (ascii_symbol || (category & U_GC_P_MASK && unicode_age(c) <= 8)) bits |= punctuation;
  if (category & U_GC_MN_MASK && unicode_age(c) <= 8) bits |= nonspacing_mark;
  if (category & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK) && unicode_age(c) <= 8) bits |= control_or_null;
  return bits;
}

uint8_t classes_of(char32_t c) {
  const uint32_t category = U_MASK(u_charType(static_cast<UChar32>(c)));
  if (category & (U_GC_CN_MASK | U_GC_CS_MASK)) return 0;
  const uint8_t bits = classes_by_category(c, category);
  switch (c) {
    case '\t':
    case '\n':
    case '\r':
      return bits & ~control_or_null;
    case replacement_character:
      return bits | control_or_null;
    // Characters whose category changed since.
    case 0x166D:
      return bits | punctuation;
    case 0x1734:
      return bits | nonspacing_mark;
    case 0x1885:
    case 0x1886:
    case 0xA9BD:
      return bits & ~nonspacing_mark;
    case 0x1CF2:
    case 0x1CF3:
      return bits | mark;
    case 0x111C9:
      return (bits | punctuation) & ~(mark | nonspacing_mark);
    default:
      return bits;
  }
}

constexpr char32_t class_page = 256;
uint8_t char_classes[code_point_end];
std::atomic<bool> filled_pages[code_point_end / class_page];

}  // namespace

void detail::fill_char_classes(char32_t page) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (filled_pages[page].load(std::memory_order_relaxed)) return;
  for (char32_t c = page * class_page; c < (page + 1) * class_page; ++c) char_classes[c] = classes_of(c);
  filled_pages[page].store(true, std::memory_order_release);
}

detail::CharClassTable detail::char_class_table() {
  static const bool ascii = (fill_char_classes(0), true);
  static_cast<void>(ascii);
  return {char_classes, filled_pages};
}

}  // namespace qkv
