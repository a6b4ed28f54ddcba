// Keys and values of many sequences of different lengths in pages of positions, which sequences may share: the memory
// behind continuous batching (Kwon et al. 2023, arXiv 2309.06180). Which page belongs to whom is decided elsewhere.
#pragma once

#include "qkv/ops/attention.h"

#include <optional>
#include <variant>
#include <vector>

namespace qkv {

class PagedCache {
 public:
  // Memory is taken when a layer first writes, and touched page by page. `type`: as KeyValueCache has it.
  PagedCache(int64_t layers, int64_t pages, int64_t page_size, std::optional<DType> type = {});

  int64_t page_size() const { return page_size_; }

  // Where a position of a sequence with these pages is written: page times page_size plus the row there.
  int32_t place_of(std::span<const int32_t> pages, int64_t position) const;

  // The rows of the passes that follow: every layer writes these positions, and attends to all of their sequences'.
  void lay_out(std::vector<PagedRun> runs);
  // Rows of one position each instead, for passes that can be recorded. places: i32 [N], of row i, read when the pass
  // is done; negative: it is written nowhere.
  void lay_out(PagedRows rows, Tensor places);
  int64_t longest() const { return longest_; }  // keys of the longest run, or their bound

  // Writes k and v [1, N, G, K], the rows of all runs, into the layer's pages; then paged_attention() of q.
  Tensor attend(int64_t layer, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options);

  // Page `to` of every layer becomes a copy of page `from`.
  void copy_page(int32_t from, int32_t to);

 private:
  struct Layer {
    Tensor keys, values;  // [pages, G, P, K], undefined until something is written
  };
  void write(const Layer& layer, const Tensor& k, const Tensor& v) const;
  std::vector<Layer> layers_;
  int64_t pages_;
  int64_t page_size_;
  std::optional<DType> type_;
  std::variant<PagedRuns, PagedRows> rows_;
  Tensor places_;  // i32 [N]: place_of() each row of the passes
  int64_t longest_ = 0;
};

}  // namespace qkv
