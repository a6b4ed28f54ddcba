#include "qkv/nn/paged_cache.h"

#include "qkv/ops/check.h"

#include <algorithm>

namespace qkv {

PagedCache::PagedCache(int64_t layers, int64_t pages, int64_t page_size, std::optional<DType> type)
    : layers_(static_cast<size_t>(layers)), pages_(pages), page_size_(page_size), type_(type) {}

void PagedCache::lay_out(std::vector<PagedRun> runs) {
  runs_ = PagedRuns(std::move(runs));
  longest_ = 0;
  for (const PagedRun& run : runs_.all()) longest_ = std::max(longest_, run.keys);
}

// Rows [1, N, G, K] to their places in [pages, G, P, K].
void PagedCache::write(const Tensor& rows, const Tensor& pool) const {
  const kernels::KernelSet& set = kernels_of(rows);
  for (const PagedRun& run : runs_.all())
    for (int64_t done = 0; done < run.queries;) {
      const int64_t position = run.keys - run.queries + done;
      const int64_t row = position % page_size_;
      const int64_t count = std::min(run.queries - done, page_size_ - row);
      const Tensor from = rows.narrow(1, run.first + done, count);
      const Tensor to = pool.narrow(0, run.pages[static_cast<size_t>(position / page_size_)], 1).narrow(2, row, count);
      set.copy({.rank = 3,
                .size = {count, rows.size(2), rows.size(3)},
                .x = from.raw(),
                .x_type = from.dtype(),
                .x_stride = {from.stride(1), from.stride(2), from.stride(3)},
                .y = to.raw(),
                .y_type = to.dtype(),
                .y_stride = {to.stride(2), to.stride(1), to.stride(3)}});
      done += count;
    }
}

Tensor PagedCache::attend(int64_t layer, const Tensor& q, const Tensor& k, const Tensor& v,
                          const AttentionOptions& options) {
  Layer& place = layers_.at(static_cast<size_t>(layer));
  if (!place.keys) {
    const Shape shape{pages_, k.size(2), page_size_, k.size(3)};
    place.keys = Tensor::empty(shape, type_.value_or(k.dtype()), k.device());
    place.values = Tensor::empty(shape, type_.value_or(v.dtype()), v.device());
  }
  write(k, place.keys);
  write(v, place.values);
  return paged_attention(q, place.keys, place.values, runs_, options);
}

void PagedCache::copy_page(int32_t from, int32_t to) {
  for (const Layer& layer : layers_)
    for (const Tensor& pool : {layer.keys, layer.values}) {
      if (!pool) continue;
      const Tensor source = pool.narrow(0, from, 1), target = pool.narrow(0, to, 1);
      kernels_of(pool).copy({.rank = 1,
                             .size = {source.numel()},
                             .x = source.raw(),
                             .x_type = source.dtype(),
                             .x_stride = {1},
                             .y = target.raw(),
                             .y_type = target.dtype(),
                             .y_stride = {1}});
    }
}

}  // namespace qkv
