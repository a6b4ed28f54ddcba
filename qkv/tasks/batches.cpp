#include "qkv/tasks/batches.h"

#include <algorithm>
#include <numeric>

namespace qkv {

std::vector<std::vector<size_t>> batches_by_length(std::span<const int64_t> lengths, int64_t batch_tokens) {
  constexpr int64_t enough = 512;  // tokens: more do not make a product faster
  std::vector<size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return lengths[a] > lengths[b]; });
  std::vector<std::vector<size_t>> batches;
  int64_t longest = 0, tokens = 0;  // of the last batch
  for (const size_t row : order) {
    const int64_t padded = longest * (batches.empty() ? 0 : std::ssize(batches.back()) + 1);
    const bool wasteful = tokens >= enough && 10 * (tokens + lengths[row]) < 9 * padded;
    if (batches.empty() || padded > batch_tokens || wasteful) {
      batches.emplace_back();
      longest = lengths[row];
      tokens = 0;
    }
    batches.back().push_back(row);
    tokens += lengths[row];
  }
  return batches;
}

}  // namespace qkv
