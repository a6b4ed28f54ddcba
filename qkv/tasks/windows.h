// Long texts in overlapping windows.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace qkv {

// [begin, end) of windows over `length` items: `size` each, or what is left, each sharing `overlap` items with the one
// before. Requires 0 <= overlap < size.
std::vector<std::pair<int64_t, int64_t>> windows_over(int64_t length, int64_t size, int64_t overlap);

}  // namespace qkv
