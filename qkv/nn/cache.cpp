#include "qkv/nn/cache.h"

#include "qkv/core/error.h"
#include "qkv/ops/check.h"

namespace qkv {
namespace {

void copy_positions(const Tensor& from, const Tensor& to) {
  kernels::Copy copy{.rank = 4, .x = from.raw(), .x_type = from.dtype(), .y = to.raw(), .y_type = to.dtype()};
  for (int i = 0; i < 4; ++i) {
    copy.size[i] = from.size(i);
    copy.x_stride[i] = from.stride(i);
    copy.y_stride[i] = to.stride(i);
  }
  kernels_of(from).copy(copy);
}

}  // namespace

KeyValueCache::KeyValueCache(int64_t layers, int64_t rows, int64_t capacity, int64_t kv_heads, int64_t head_dim,
                             DType dtype)
    : rows_(rows), capacity_(capacity) {
  const Shape shape{rows, capacity, kv_heads, head_dim};
  for (int64_t i = 0; i < layers; ++i) layers_.push_back({Tensor::empty(shape, dtype), Tensor::empty(shape, dtype)});
}

KeyValueCache::View KeyValueCache::append(int64_t layer, const Tensor& k, const Tensor& v) {
  const int64_t count = k.size(1);
  if (length_ + count > capacity_)
    throw Error("cache", fmt::format("{} positions do not fit: the cache holds {}", length_ + count, capacity_),
                "generate fewer tokens or shorten the prompt");
  const Layer& place = layers_.at(static_cast<size_t>(layer));
  copy_positions(k, place.keys.narrow(1, length_, count));
  copy_positions(v, place.values.narrow(1, length_, count));
  return {place.keys.narrow(1, 0, length_ + count), place.values.narrow(1, 0, length_ + count)};
}

void KeyValueCache::select_rows(const std::vector<int32_t>& sources) {
  const auto selected = [&](const Tensor& old) {
    Shape shape = old.shape();
    shape.set(0, static_cast<int64_t>(sources.size()));
    Tensor fresh = Tensor::empty(shape, old.dtype(), old.device());
    for (size_t i = 0; i < sources.size(); ++i)
      copy_positions(old.narrow(0, sources[i], 1).narrow(1, 0, length_),
                     fresh.narrow(0, static_cast<int64_t>(i), 1).narrow(1, 0, length_));
    return fresh;
  };
  for (Layer& layer : layers_) layer = {selected(layer.keys), selected(layer.values)};
  rows_ = static_cast<int64_t>(sources.size());
}

}  // namespace qkv
