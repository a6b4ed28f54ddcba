#include "qkv/data/span_batches.h"

#include "qkv/core/error.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace qkv {
namespace {

constexpr int64_t shortest = 2;  // one token that goes and one that stays

int64_t checked_capacity(const SpanOptions& options) {
  const int64_t capacity = options.length - 1;  // the end token
  if (options.rows <= 0 || capacity < shortest)
    throw Error("batch", fmt::format("{} rows of {} tokens", options.rows, options.length),
                "a row needs room for a text and the token that ends it");
  if (options.visit == Visit::random)
    throw Error("batch", "batches of spans are shuffled or in turn", "", Error::Kind::internal);
  return capacity;
}

// `total` as a sum of `parts` random numbers of at least 1.
std::vector<int64_t> random_parts(int64_t total, int64_t parts, Random& random) {
  // Distinct cuts (Floyd's sampling).
  std::set<int64_t> cuts;
  for (int64_t j = total - parts + 1; j < total; ++j) {
    const int64_t cut = 1 + static_cast<int64_t>(random.below(static_cast<uint64_t>(j)));
    if (!cuts.insert(cut).second) cuts.insert(j);
  }
  std::vector<int64_t> lengths;
  int64_t before = 0;
  for (const int64_t cut : cuts) {
    lengths.push_back(cut - before);
    before = cut;
  }
  lengths.push_back(total - before);
  return lengths;
}

}  // namespace

Corrupted take_spans(std::span<const int32_t> ids, const SpanOptions& options, RandomKey key) {
  Random random(key);
  const int64_t n = std::ssize(ids);
  const int64_t taken = std::clamp<int64_t>(std::llround(options.share * static_cast<double>(n)), 1, n - 1);
  int64_t spans = std::max<int64_t>(1, std::llround(static_cast<double>(taken) / options.mean_span));
  spans = std::min({spans, taken, n - taken});
  if (!options.sentinels.empty()) spans = std::min<int64_t>(spans, std::ssize(options.sentinels));
  const std::vector<int64_t> out = random_parts(taken, spans, random);
  const std::vector<int64_t> kept = random_parts(n - taken, spans, random);
  Corrupted result;
  if (options.sentinels.empty()) result.target.assign(ids.begin(), ids.end());
  int64_t at = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    const auto stays = ids.subspan(static_cast<size_t>(at), static_cast<size_t>(kept[i]));
    const auto goes = ids.subspan(static_cast<size_t>(at + kept[i]), static_cast<size_t>(out[i]));
    at += kept[i] + out[i];
    result.source.insert(result.source.end(), stays.begin(), stays.end());
    result.source.push_back(options.sentinels.empty() ? options.mask : options.sentinels[i]);
    if (options.sentinels.empty()) continue;
    result.target.push_back(options.sentinels[i]);
    result.target.insert(result.target.end(), goes.begin(), goes.end());
  }
  return result;
}

SpanBatches::SpanBatches(TokenStream stream, SpanOptions options)
    : stream_(std::move(stream)),
      options_(std::move(options)),
      segments_(stream_, checked_capacity(options_), shortest),
      order_(options_.visit == Visit::shuffled ? Order::shuffled(segments_.count(), options_.key.child(0))
                                               : Order::in_turn(segments_.count(), options_.limit * options_.rows)) {}

Batch SpanBatches::batch(int64_t n) const {
  Batch batch;
  batch.rows = order_.rows_of(n, options_.rows, stream_.name());
  std::vector<Corrupted> rows;
  size_t longest = 0, longest_target = 0, shortest_source = SIZE_MAX;
  for (int64_t r = 0; r < batch.rows; ++r) {
    const Segments::Segment segment = segments_[order_(n * options_.rows + r)];
    const std::vector<int32_t> ids = tokens_of(stream_, segment.begin, segment.end);
    rows.push_back(
        take_spans(ids, options_, options_.key.child(1).child(static_cast<uint64_t>(n * options_.rows + r))));
    rows.back().source.push_back(options_.end);
    rows.back().target.push_back(options_.end);
    longest = std::max(longest, rows.back().source.size());
    shortest_source = std::min(shortest_source, rows.back().source.size());
    longest_target = std::max(longest_target, rows.back().target.size());
  }
  batch.length = static_cast<int64_t>(longest);
  batch.target_length = static_cast<int64_t>(longest_target);
  batch.input_ids.assign(rows.size() * longest, options_.pad);
  batch.labels.assign(rows.size() * longest_target, ignored_label);
  if (shortest_source < longest) batch.attention_mask.assign(rows.size() * longest, 0);
  for (size_t r = 0; r < rows.size(); ++r) {
    const Corrupted& row = rows[r];
    std::copy(row.source.begin(), row.source.end(), batch.input_ids.begin() + static_cast<ptrdiff_t>(r * longest));
    std::copy(row.target.begin(), row.target.end(), batch.labels.begin() + static_cast<ptrdiff_t>(r * longest_target));
    if (!batch.attention_mask.empty())
      std::fill_n(batch.attention_mask.begin() + static_cast<ptrdiff_t>(r * longest), row.source.size(), uint8_t{1});
    batch.target_count += std::ssize(row.target);
  }
  return batch;
}

}  // namespace qkv
