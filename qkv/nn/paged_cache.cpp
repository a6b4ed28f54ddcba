#include "qkv/nn/paged_cache.h"

#include "qkv/ops/check.h"

#include <algorithm>

namespace qkv {

PagedCache::PagedCache(int64_t layers, int64_t pages, int64_t page_size, std::optional<DType> type)
    : layers_(static_cast<size_t>(layers)), pages_(pages), page_size_(page_size), type_(type) {}

int32_t PagedCache::place_of(std::span<const int32_t> pages, int64_t position) const {
  const auto at = static_cast<size_t>(position / page_size_);
  check(position >= 0 && at < pages.size(), "paged_cache", "position {} is not in {} pages", position, pages.size());
  const int32_t page = pages[at];
  check(page >= 0 && page < pages_, "paged_cache", "there is no page {}", page);
  return static_cast<int32_t>(page * page_size_ + position % page_size_);
}

void PagedCache::lay_out(PagedRows rows, Tensor places) {
  longest_ = rows.bound;
  rows_ = std::move(rows);
  places_ = std::move(places);
}

void PagedCache::lay_out(std::vector<PagedRun> given) {
  PagedRuns runs(std::move(given));
  longest_ = 0;
  std::vector<int32_t> places;
  for (const PagedRun& run : runs.all()) {
    longest_ = std::max(longest_, run.keys);
    check(run.first == std::ssize(places) && run.queries <= run.keys && run.keys <= std::ssize(run.pages) * page_size_,
          "paged_cache", "a run of {} queries at {} and {} keys does not fit behind {} rows in {} pages", run.queries,
          run.first, run.keys, places.size(), run.pages.size());
    for (int64_t position = run.keys - run.queries; position < run.keys; ++position)
      places.push_back(place_of(run.pages, position));
  }
  rows_ = std::move(runs);
  places_ = Tensor::from({std::ssize(places)}, places);
}

// In one call, since each sequence has its rows elsewhere.
void PagedCache::write(const Layer& layer, const Tensor& k, const Tensor& v) const {
  check(k.size(0) == 1 && k.size(1) == places_.numel() && v.shape() == k.shape() && v.dtype() == k.dtype() &&
            k.stride(3) == 1 && v.stride(3) == 1,
        "paged_cache", "expected dense k and v [1,{},G,K], got {} and {}", places_.numel(), k.shape(), v.shape());
  kernels_of(k).write_pages({.rows = k.size(1),
                             .heads = k.size(2),
                             .head_dim = k.size(3),
                             .page_size = page_size_,
                             .places = places_.on(k.device()).data<int32_t>(),
                             .type = k.dtype(),
                             .k = {k.raw(), k.stride(0), k.stride(1), k.stride(2)},
                             .v = {v.raw(), v.stride(0), v.stride(1), v.stride(2)},
                             .page_type = layer.keys.dtype(),
                             .keys = layer.keys.raw(),
                             .values = layer.values.raw()});
}

Tensor PagedCache::attend(int64_t layer, const Tensor& q, const Tensor& k, const Tensor& v,
                          const AttentionOptions& options) {
  Layer& place = layers_.at(static_cast<size_t>(layer));
  if (!place.keys) {
    const Shape shape{pages_, k.size(2), page_size_, k.size(3)};
    place.keys = Tensor::empty(shape, type_.value_or(k.dtype()), k.device());
    place.values = Tensor::empty(shape, type_.value_or(v.dtype()), v.device());
  }
  write(place, k, v);
  return std::visit([&](const auto& rows) { return paged_attention(q, place.keys, place.values, rows, options); },
                    rows_);
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
