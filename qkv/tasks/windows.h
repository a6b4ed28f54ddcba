// Long texts in overlapping windows.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace qkv {

// [begin, end) of windows over `length` items: `size` each, or what is left, each sharing `overlap` items with the one
// before. Requires 0 <= overlap < size.
std::vector<std::pair<int64_t, int64_t>> windows_over(int64_t length, int64_t size, int64_t overlap);

constexpr int64_t measured_window = 512;  // at most: of windows over a text that only measures a model

}  // namespace qkv
