#include "qkv/tasks/attend.h"

#include "qkv/core/error.h"
#include "qkv/generate/scheduler.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/shape.h"

#include <algorithm>

namespace qkv {
namespace {

constexpr int64_t chunk = 512;               // tokens that a reader reads at once
constexpr int64_t most_weights = 1LL << 26;  // of a layer that sees both ways: all its rows are made

bool sees_both_ways(const Spec& spec) {
  if (spec.encoder || spec.causal() || spec.embeddings.query || spec.stack.past) return false;
  for (int64_t i = 0; i < spec.stack.distinct(); ++i)
    if (!spec.stack.layer(i).attends() || spec.stack.layer(i).attention.global) return false;
  return true;
}

Inputs inputs_of(std::span<const int32_t> ids) {
  return {.input_ids = Tensor::from({1, std::ssize(ids)}, std::vector<int32_t>(ids.begin(), ids.end()))};
}

// Row `row` of a pattern [1, H, T, S].
std::vector<std::vector<float>> row_of(const Tensor& pattern, int64_t row) {
  const int64_t H = pattern.size(1), S = pattern.size(3);
  const std::vector<float> values = finite_values(clone(pattern.narrow(2, row, 1)));
  std::vector<std::vector<float>> heads;
  for (int64_t h = 0; h < H; ++h) heads.emplace_back(values.begin() + h * S, values.begin() + (h + 1) * S);
  return heads;
}

}  // namespace

AttentionReading::AttentionReading(const Spec& spec, DType compute, std::vector<int32_t> ids, int64_t position,
                                   std::optional<int64_t> layer)
    : ids_(std::move(ids)), position_(position), layer_(layer), causal_(spec.causal()), compute_(compute) {
  const int64_t T = std::ssize(ids_);
  if (position < 0 || position >= T)
    throw Error("position", fmt::format("{} is no place of a text of {} tokens", position, T));
  if (layer && (*layer < 0 || *layer >= spec.layers()))
    throw Error("layer", fmt::format("{} is not one of the model's {} layers", *layer, spec.layers()));
  for (const int32_t id : ids_)
    if (id < 0 || id >= spec.vocab) throw Error("tokens", fmt::format("{} is no token id of this model", id));
  if (!causal_ && T * T * spec.stack.block.attention.heads > most_weights)
    throw Error("text", fmt::format("has {} tokens, too many to show attention that sees both ways", T), "shorten it");
  if (causal_) cache_.emplace(spec.layers(), 1, position + 1);
}

bool AttentionReading::read(Model& model, int64_t tokens) {
  const NoGrad no_grad;
  Context context{.compute = compute_};
  if (cache_) context.cache = &*cache_;
  const std::span<const int32_t> ids(ids_);
  const int64_t before = causal_ ? position_ - read_ : 0;
  if (before > 0) {
    const int64_t count = std::min(tokens, before);
    model.hidden(inputs_of(ids.subspan(static_cast<size_t>(read_), static_cast<size_t>(count))), context);
    read_ += count;
    return true;
  }
  Taps taps;
  taps.wants = [&](const std::string& name) {
    return name.ends_with(".attn.hook_pattern") &&
           (!layer_ || name == fmt::format("blocks.{}.attn.hook_pattern", *layer_));
  };
  taps.see = [&](const std::string& name, const Tensor& pattern) {
    layers_.push_back({std::stoll(name.substr(name.find('.') + 1)), row_of(pattern, causal_ ? 0 : position_)});
    return pattern;
  };
  context.taps = &taps;
  model.hidden(inputs_of(causal_ ? ids.subspan(static_cast<size_t>(position_), 1) : ids), context);
  return false;
}

AttentionReader::AttentionReader(const fs::path& directory, TaskOptions options)
    : AttentionReader(TextModel(directory, std::move(options))) {}

AttentionReader::AttentionReader(TextModel base) : base_(std::move(base)) {
  if (!can_read(base_.model().spec()))
    throw Error(base_.directory().string(), "its layers have no weights of attention that could be shown one by one");
}

bool AttentionReader::can_read(const Spec& spec) { return batches_continuously(spec) || sees_both_ways(spec); }

std::vector<LayerAttention> AttentionReader::read(std::span<const int32_t> ids, int64_t position,
                                                  std::optional<int64_t> layer,
                                                  const std::function<bool()>& stop) const {
  AttentionReading reading(base_.model().spec(), base_.options().dtype, {ids.begin(), ids.end()}, position, layer);
  if (std::ssize(ids) > base_.limit()) throw base_.too_long("text", std::ssize(ids), false, "shorten it");
  while (!(stop && stop()) && reading.read(base_.model(), chunk)) continue;
  return reading.take();
}

}  // namespace qkv
