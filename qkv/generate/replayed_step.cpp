#include "qkv/generate/replayed_step.h"

#include "qkv/kernels/kernels.h"

#include <algorithm>
#include <utility>

namespace qkv {

ReplayedStep::ReplayedStep(Model& model, const Context& context)
    : model_(model), context_(context), rows_(context.cache->rows()), pass_(3 * rows_ + 1) {}

bool ReplayedStep::record(int64_t bound) {
  const Shape shape{rows_, 1};
  const Tensor& numbers = pass_.numbers();
  const Inputs inputs{.input_ids = numbers.narrow(0, 0, rows_).view(shape),
                      .position_ids = numbers.narrow(0, rows_, rows_).view(shape)};
  bound_ = 0;
  KeyValueCache& cache = *context_.cache;
  const int64_t length = cache.length();
  cache.lay_out(numbers.narrow(0, 2 * rows_, 1 + rows_), bound);
  possible_ = pass_.record(model_.device(), [&] { return model_.next_logits(inputs, context_); });
  cache.lay_out({}, 0);
  if (possible_) {
    bound_ = bound;
  } else {
    cache.advance(length - cache.length());
  }
  return possible_;
}

Tensor ReplayedStep::run(std::span<const int32_t> ids, std::span<const int32_t> positions) {
  KeyValueCache& cache = *context_.cache;
  const int64_t length = cache.length();
  const int64_t limit = model_.spec().max_positions();
  if (std::exchange(first_, false) || !possible_ || length >= cache.capacity() || (limit > 0 && length >= limit))
    return {};
  int32_t* numbers = pass_.numbers().data<int32_t>();
  numbers = std::copy(ids.begin(), ids.end(), numbers);
  numbers = std::copy(positions.begin(), positions.end(), numbers);
  *numbers++ = static_cast<int32_t>(length);
  std::fill_n(numbers, rows_, static_cast<int32_t>(length + 1));
  pass_.renew(model_.device());
  const int64_t bound = std::min(kernels::key_bound(length + 1), cache.capacity());
  if (bound == bound_) {
    cache.advance(1);
  } else if (!record(bound)) {
    return {};
  }
  return pass_.play();
}

}  // namespace qkv
