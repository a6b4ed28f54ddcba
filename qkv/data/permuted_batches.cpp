#include "qkv/data/permuted_batches.h"

#include <algorithm>

namespace qkv {
namespace {

MaskedOptions uncorrupted(MaskedOptions options) {
  options.masking.masked = 0;
  options.masking.random = 0;
  return options;
}

// The places of one row's labels, in a random order.
std::vector<int32_t> order_of(std::span<const int32_t> labels, RandomKey key) {
  std::vector<int32_t> order;
  for (size_t t = 0; t < labels.size(); ++t)
    if (labels[t] != ignored_label) order.push_back(static_cast<int32_t>(t));
  Random random(key);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

}  // namespace

PermutedBatches::PermutedBatches(TokenStream stream, MaskedOptions options)
    : chosen_(std::move(stream), uncorrupted(options)), key_(options.key.child(3)) {}

Batch PermutedBatches::batch(int64_t n) const {
  Batch batch = chosen_.batch(n);
  const size_t length = static_cast<size_t>(batch.length);
  std::vector<std::vector<int32_t>> orders;
  size_t most = 0;
  for (int64_t r = 0; r < batch.rows; ++r) {
    const auto labels = std::span(batch.labels).subspan(static_cast<size_t>(r) * length, length);
    orders.push_back(order_of(labels, key_.child(static_cast<uint64_t>(n)).child(static_cast<uint64_t>(r))));
    most = std::max(most, orders.back().size());
  }
  batch.predictions = static_cast<int64_t>(most);
  batch.hidden_pairs.assign(batch.labels.size() * length, 0);
  std::vector<int32_t> labels;
  for (size_t r = 0; r < orders.size(); ++r) {
    const std::vector<int32_t>& order = orders[r];
    // Nobody sees a token that comes up later, and a prediction does not see its own.
    std::vector<size_t> turn(length, 0);
    for (size_t i = 0; i < order.size(); ++i) turn[static_cast<size_t>(order[i])] = i + 1;
    for (size_t t = 0; t < length; ++t)
      for (const int32_t s : order)
        if (turn[static_cast<size_t>(s)] >= turn[t])
          batch.hidden_pairs[(r * length + t) * length + static_cast<size_t>(s)] = 1;
    for (size_t i = 0; i < most; ++i) {
      const size_t place = i < order.size() ? static_cast<size_t>(order[i]) : 0;
      batch.targets.push_back(static_cast<int32_t>(place));
      labels.push_back(i < order.size() ? batch.labels[r * length + place] : ignored_label);
    }
  }
  batch.labels = std::move(labels);
  return batch;
}

}  // namespace qkv
