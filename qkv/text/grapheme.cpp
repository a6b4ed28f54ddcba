#include "qkv/text/grapheme.h"

#include "qkv/text/unicode.h"

#include <unicode/uchar.h>

namespace qkv {
namespace {

int break_class(char32_t c) { return u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_GRAPHEME_CLUSTER_BREAK); }

bool is_control(int kind) { return kind == U_GCB_CR || kind == U_GCB_LF || kind == U_GCB_CONTROL; }

// GB6 to GB8: the syllables of Hangul.
bool same_syllable(int before, int after) {
  switch (before) {
    case U_GCB_L:
      return after == U_GCB_L || after == U_GCB_V || after == U_GCB_LV || after == U_GCB_LVT;
    case U_GCB_LV:
    case U_GCB_V:
      return after == U_GCB_V || after == U_GCB_T;
    case U_GCB_LVT:
    case U_GCB_T:
      return after == U_GCB_T;
    default:
      return false;
  }
}

}  // namespace

size_t grapheme_length(std::string_view text) {
  const char* p = text.data();
  const char* const end = p + text.size();
  char32_t c = next_code_point(p);
  if (p == end || (c < 0x80 && !(*p & 0x80) && c != '\r')) return p - text.data();
  int before = break_class(c);
  bool pictograph = u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_EXTENDED_PICTOGRAPHIC);  // GB11, then Extend*
  bool joined_pictograph = false;                                                               // and a joiner
  int flags = before == U_GCB_REGIONAL_INDICATOR;
  while (p < end) {
    const char* next = p;
    c = next_code_point(next);
    const int after = break_class(c);
    const bool after_pictograph = u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_EXTENDED_PICTOGRAPHIC);
    const bool newline = before == U_GCB_CR && after == U_GCB_LF;  // GB3
    const bool extends = after == U_GCB_EXTEND || after == U_GCB_ZWJ || after == U_GCB_SPACING_MARK;
    const bool flag_pair = before == U_GCB_REGIONAL_INDICATOR && after == before && flags % 2 == 1;
    const bool joins = newline || (!is_control(before) && !is_control(after) &&
                                   (extends || before == U_GCB_PREPEND || same_syllable(before, after) ||
                                    (joined_pictograph && after_pictograph) || flag_pair));
    if (!joins) break;
    joined_pictograph = pictograph && after == U_GCB_ZWJ;
    pictograph = after_pictograph || (pictograph && after == U_GCB_EXTEND);
    flags = after == U_GCB_REGIONAL_INDICATOR ? flags + 1 : 0;
    before = after;
    p = next;
  }
  return p - text.data();
}

}  // namespace qkv
