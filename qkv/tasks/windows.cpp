#include "qkv/tasks/windows.h"

#include <algorithm>

namespace qkv {

std::vector<std::pair<int64_t, int64_t>> windows_over(int64_t length, int64_t size, int64_t overlap) {
  std::vector<std::pair<int64_t, int64_t>> windows;
  int64_t begin = 0;
  while (true) {
    windows.emplace_back(begin, std::min(length, begin + size));
    if (begin + size >= length) return windows;
    begin += size - overlap;
  }
}

}  // namespace qkv
