#include "qkv/core/error.h"

#include <algorithm>
#include <vector>

namespace qkv {
namespace {

std::string message(std::string_view where, std::string_view what, std::string_view hint) {
  std::string text = where.empty() ? std::string(what) : fmt::format("[{}] {}", where, what);
  if (!hint.empty()) text += fmt::format("\n  try: {}", hint);
  return text;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replace});
    }
  }
  return row[b.size()];
}

}  // namespace

Error::Error(std::string_view where, std::string_view what, std::string_view hint, Kind kind)
    : std::runtime_error(message(where, what, hint)), where_(where), reason_(what), hint_(hint), kind_(kind) {}

std::string nearest(std::string_view word, const std::string* candidates, size_t count) {
  const size_t limit = std::max<size_t>(2, word.size() / 3);
  size_t best = limit + 1;
  std::string found;
  for (size_t i = 0; i < count; ++i) {
    const size_t distance = edit_distance(word, candidates[i]);
    if (distance < best) {
      best = distance;
      found = candidates[i];
    }
  }
  return found;
}

}  // namespace qkv
