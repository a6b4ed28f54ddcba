#include "qkv/generate/prompt_lookup.h"

#include <algorithm>

namespace qkv {

std::vector<int32_t> look_up(std::span<const int32_t> ids, int64_t count) {
  for (size_t n = 4; n >= 2; --n) {
    if (ids.size() <= n) continue;
    const std::span<const int32_t> end = ids.last(n);
    for (size_t at = ids.size() - n; at-- > 0;) {
      if (!std::equal(end.begin(), end.end(), ids.begin() + static_cast<ptrdiff_t>(at))) continue;
      const std::span<const int32_t> after = ids.subspan(at + n);
      return {after.begin(), after.begin() + std::min<ptrdiff_t>(count, std::ssize(after))};
    }
  }
  return {};
}

}  // namespace qkv
