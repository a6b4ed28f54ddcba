#include "qkv/nn/cache.h"

#include "qkv/core/error.h"
#include "qkv/ops/copy.h"

namespace qkv {
namespace {

Tensor room_for(const Tensor& some, int64_t capacity, DType type) {
  return Tensor::empty({some.size(0), capacity, some.size(2), some.size(3)}, type, some.device());
}

// Row i is row sources[i] of `old`. With `length` >= 0 only so many positions (dimension 1) hold anything.
Tensor selected(const Tensor& old, const std::vector<int32_t>& sources, int64_t length = -1) {
  if (!old) return {};
  Shape shape = old.shape();
  shape.set(0, static_cast<int64_t>(sources.size()));
  Tensor fresh = Tensor::empty(shape, old.dtype(), old.device());
  for (size_t i = 0; i < sources.size(); ++i) {
    const Tensor from = old.narrow(0, sources[i], 1);
    const Tensor to = fresh.narrow(0, static_cast<int64_t>(i), 1);
    copy_elements(length < 0 ? from : from.narrow(1, 0, length), length < 0 ? to : to.narrow(1, 0, length));
  }
  return fresh;
}

}  // namespace

KeyValueCache::KeyValueCache(int64_t layers, int64_t rows, int64_t capacity, std::optional<DType> type)
    : layers_(static_cast<size_t>(layers)), rows_(rows), capacity_(capacity), type_(type) {}

KeyValueCache::View KeyValueCache::append(int64_t layer, const Tensor& k, const Tensor& v) {
  const int64_t count = k.size(1);
  if (length_ + count > capacity_)
    throw Error("cache", fmt::format("{} positions do not fit: the cache holds {}", length_ + count, capacity_),
                "generate fewer tokens or shorten the prompt");
  Layer& place = layers_.at(static_cast<size_t>(layer));
  if (!place.keys) {
    place.keys = room_for(k, capacity_, type_.value_or(k.dtype()));
    place.values = room_for(v, capacity_, type_.value_or(v.dtype()));
  }
  if (counts_) {
    const Tensor before = counts_.narrow(0, 0, 1);
    copy_elements(k, place.keys.narrow(1, 0, count), before, place.keys.stride(1));
    copy_elements(v, place.values.narrow(1, 0, count), before, place.values.stride(1));
    return {place.keys.narrow(1, 0, bound_), place.values.narrow(1, 0, bound_)};
  }
  copy_elements(k, place.keys.narrow(1, length_, count));
  copy_elements(v, place.values.narrow(1, length_, count));
  return {place.keys.narrow(1, 0, length_ + count), place.values.narrow(1, 0, length_ + count)};
}

void KeyValueCache::lay_out(Tensor counts, int64_t bound) {
  counts_ = std::move(counts);
  bound_ = bound;
}

Tensor KeyValueCache::state(int64_t layer, size_t slot) const {
  const std::vector<Tensor>& states = layers_.at(static_cast<size_t>(layer)).states;
  return slot < states.size() ? states[slot] : Tensor();
}

void KeyValueCache::set_state(int64_t layer, size_t slot, Tensor state) {
  std::vector<Tensor>& states = layers_.at(static_cast<size_t>(layer)).states;
  if (slot >= states.size()) states.resize(slot + 1);
  states[slot] = std::move(state);
}

void KeyValueCache::select_memories(const std::vector<int32_t>& sources) {
  const Tensor& some = layers_.front().memory.keys;
  if (!some) return;
  const int64_t memories = some.size(0);
  const int64_t shared = rows_ / memories;
  const int64_t now = static_cast<int64_t>(sources.size());
  std::vector<int32_t> wanted;
  bool kept = now % memories == 0;
  for (int64_t i = 0; i < now; ++i) {
    wanted.push_back(sources[static_cast<size_t>(i)] / static_cast<int32_t>(shared));
    kept = kept && wanted.back() == i / (now / memories);
  }
  if (kept) return;
  for (Layer& layer : layers_)
    layer.memory = {selected(layer.memory.keys, wanted), selected(layer.memory.values, wanted)};
  memory_mask = selected(memory_mask, wanted);
}

void KeyValueCache::select_rows(const std::vector<int32_t>& sources) {
  if (!layers_.empty()) select_memories(sources);
  for (Layer& layer : layers_) {
    layer.keys = selected(layer.keys, sources, length_);
    layer.values = selected(layer.values, sources, length_);
    for (Tensor& state : layer.states) state = selected(state, sources);
  }
  rows_ = static_cast<int64_t>(sources.size());
}

}  // namespace qkv
