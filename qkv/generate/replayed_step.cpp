#include "qkv/generate/replayed_step.h"

#include "qkv/kernels/kernels.h"

#include <algorithm>
#include <utility>

namespace qkv {
namespace {

bool suits_block(const BlockSpec& block) {
  const AttentionSpec& attention = block.attention;
  const bool own_rotation = attention.rotary && attention.rotary->scaling == RotarySpec::Scaling::dynamic;
  return block.attends() && !block.experts && !block.cross && !block.convolution && !attention.relative &&
         !attention.global && !attention.distance_bias && !own_rotation;
}

}  // namespace

bool ReplayedStep::suits(const Spec& spec) {
  const StackSpec& stack = spec.stack;
  if (spec.encoder || stack.past || stack.distances || spec.embeddings.query || spec.embeddings.adaptive) return false;
  for (int64_t i = 0; i < stack.distinct(); ++i)
    if (!suits_block(stack.layer(i))) return false;
  return true;
}

ReplayedStep::ReplayedStep(Model& model, const Context& context)
    : model_(model),
      context_(context),
      rows_(context.cache->rows()),
      numbers_(Tensor::zeros({2 * rows_ + 2}, DType::i32)) {}

bool ReplayedStep::record(int64_t bound) {
  const Shape shape{rows_, 1};
  const Inputs inputs{.input_ids = numbers_.narrow(0, 0, rows_).view(shape),
                      .position_ids = numbers_.narrow(0, rows_, rows_).view(shape)};
  logits_ = {};
  bound_ = 0;
  KeyValueCache& cache = *context_.cache;
  cache.lay_out(numbers_.narrow(0, 2 * rows_, 2), bound);
  const int64_t length = cache.length();
  try {
    possible_ = replay_.record(model_.device(), [&] { logits_ = model_.next_logits(inputs, context_); });
  } catch (...) {
    cache.lay_out({}, 0);
    cache.advance(length - cache.length());
    throw;
  }
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
  int32_t* numbers = numbers_.data<int32_t>();
  std::copy(ids.begin(), ids.end(), numbers);
  std::copy(positions.begin(), positions.end(), numbers + rows_);
  numbers[2 * rows_] = static_cast<int32_t>(length);
  numbers[2 * rows_ + 1] = static_cast<int32_t>(length + 1);
  numbers_.on(model_.device());
  numbers_.renew();
  const int64_t bound = std::min(kernels::key_bound(length + 1), cache.capacity());
  if (bound == bound_) {
    cache.advance(1);
  } else if (!record(bound)) {
    return {};
  }
  replay_.play();
  return logits_;
}

}  // namespace qkv
