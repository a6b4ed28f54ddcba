#include "qkv/text/precompiled.h"

#include "qkv/text/grapheme.h"

#include <algorithm>

namespace qkv {
namespace {

constexpr size_t longest_cluster = 5;  // bytes

// Notes `replacement` for the characters of `old`. Surplus characters are insertions behind the last one replaced; when
// there are fewer, the last character before takes the rest away, which may be one of an earlier replacement.
void replace(std::vector<Change>& changes, std::string_view old, std::string_view replacement) {
  const std::vector<char32_t> fresh = code_points(replacement);
  const auto before = static_cast<int>(count_code_points(old)), after = static_cast<int>(fresh.size());
  for (int i = 0; i < after; ++i) changes.push_back({fresh[i], i < before ? 0 : 1});
  if (after < before && !changes.empty()) changes.back().growth += after - before;
}

}  // namespace

void apply_by_grapheme(const Charsmap& map, AlignedText& text) {
  std::vector<Change> changes;
  bool changed = false;
  const std::string_view all = text.text;
  changes.reserve(all.size());
  const auto rewrite = [&](std::string_view part) {
    const Charsmap::Rule rule = map.shortest(part);
    if (rule.bytes == 0) return false;
    replace(changes, part, rule.replacement);
    changed = true;
    return true;
  };
  for (size_t i = 0; i < all.size();) {
    const bool ascii = !(all[i] & 0x80);
    if (ascii && map.keeps_ascii(all[i]) && (i + 1 == all.size() || !(all[i + 1] & 0x80))) {
      changes.push_back({static_cast<char32_t>(all[i++]), 0});
      continue;
    }
    const std::string_view cluster = all.substr(i, grapheme_length(all.substr(i)));
    i += cluster.size();
    if (cluster.size() <= longest_cluster && rewrite(cluster)) continue;
    for (const char *p = cluster.data(), *end = p + cluster.size(); p < end;) {
      const char* const start = p;
      const char32_t c = next_code_point(p);
      if (!rewrite({start, static_cast<size_t>(p - start)})) changes.push_back({c, 0});
    }
  }
  if (changed) apply_changes(text, changes);
}

namespace {

constexpr std::string_view base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string encode_base64(std::string_view bytes) {
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k) bits = bits << 8 | (k < count ? static_cast<uint8_t>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) out += k <= count ? base64_digits[bits >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

bool decode_base64(std::string_view text, std::string& bytes) {
  if (text.size() % 4 != 0) return false;
  bytes.clear();
  bytes.reserve(text.size() / 4 * 3);
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  uint32_t bits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool pad = i >= text.size() - padding;
    const size_t digit = pad ? 0 : base64_digits.find(text[i]);
    if (digit == std::string_view::npos) return false;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    if (i % 4 != 3) continue;
    for (const int shift : {16, 8, 0}) bytes += static_cast<char>(bits >> shift & 0xFF);
    bits = 0;
  }
  bytes.erase(bytes.size() - padding);
  return true;
}

}  // namespace qkv
