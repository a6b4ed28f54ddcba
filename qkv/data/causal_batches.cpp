#include "qkv/data/causal_batches.h"

#include "qkv/core/error.h"

namespace qkv {

CausalBatches::CausalBatches(TokenStream stream, CausalOptions options)
    : stream_(std::move(stream)), options_(options) {
  if (options.rows <= 0 || options.context <= 0)
    throw Error("batch", fmt::format("{} rows of {} tokens", options.rows, options.context), "ask for at least 1 of 1");
  if (stream_.size() <= options.context) {
    const int64_t fits = stream_.size() - 1;
    throw Error(
        stream_.name(),
        fmt::format("has {} tokens; a context of {} needs at least {}", stream_.size(), options.context,
                    options.context + 1),
        fits < 1
            ? "use a longer text, or a larger part of it for validation"
            : fmt::format("use a longer text, a larger part of it for validation, or a context of at most {}", fits));
  }
  windows_ = (stream_.size() - 1 + options.context - 1) / options.context;
  if (options.visit == Visit::shuffled) order_ = Order::shuffled(windows_, options.key);
  if (options.visit == Visit::in_turn) order_ = Order::in_turn(windows_, options.limit * options.rows);
}

int64_t CausalBatches::count() const {
  return order_ ? order_->batches(options_.rows) : (windows_ + options_.rows - 1) / options_.rows;
}

Batch CausalBatches::batch(int64_t n) const {
  Batch batch;
  batch.rows = order_ ? order_->rows_of(n, options_.rows, stream_.name()) : options_.rows;
  batch.length = options_.context;
  const size_t length = static_cast<size_t>(batch.length);
  std::vector<int32_t> window(length + 1);
  Random random(options_.key.child(static_cast<uint64_t>(n)));
  for (int64_t row = 0; row < batch.rows; ++row) {
    int64_t begin = 0;
    size_t repeated = 0;
    if (order_) {
      begin = (*order_)(n * options_.rows + row) * batch.length;
      const int64_t last = stream_.size() - 1 - batch.length;
      repeated = static_cast<size_t>(std::max<int64_t>(0, begin - last));
      begin = std::min(begin, last);
    } else {
      begin = static_cast<int64_t>(random.below(static_cast<uint64_t>(stream_.size() - batch.length)));
    }
    stream_.read(begin, window);
    batch.input_ids.insert(batch.input_ids.end(), window.begin(), window.end() - 1);
    batch.labels.insert(batch.labels.end(), repeated, ignored_label);
    batch.labels.insert(batch.labels.end(), window.begin() + 1 + static_cast<ptrdiff_t>(repeated), window.end());
    batch.target_count += batch.length - static_cast<int64_t>(repeated);
  }
  return batch;
}

}  // namespace qkv
