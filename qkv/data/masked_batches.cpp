#include "qkv/data/masked_batches.h"

#include "qkv/core/error.h"

#include <algorithm>

namespace qkv {

MaskedBatches::MaskedBatches(TokenStream stream, MaskedOptions options)
    : stream_(std::move(stream)), options_(std::move(options)) {
  const int64_t shortest = options_.next_sentence ? 2 : 1;
  const int64_t capacity = options_.length - (options_.next_sentence ? 3 : 2);
  if (options_.rows <= 0 || capacity < shortest)
    throw Error("batch", fmt::format("{} rows of {} tokens", options_.rows, options_.length),
                "a row needs room for the special tokens and a text");
  if (options_.visit == Visit::random)
    throw Error("batch", "masked batches are shuffled or in turn", "", Error::Kind::internal);
  if (options_.next_sentence && stream_.documents() < 2)
    throw Error(stream_.name(), "is one document; next-sentence pairs take their wrong halves from another",
                "name several files, or JSON lines with a document each");
  segments_.emplace(stream_, capacity, shortest);
  const int64_t items = segments_->count();
  order_ = options_.visit == Visit::shuffled ? Order::shuffled(items, options_.key.child(0))
                                             : Order::in_turn(items, options_.limit * options_.rows);
}

MaskedBatches::Row MaskedBatches::row(int64_t item, Random& random) const {
  const auto [document, begin, end] = (*segments_)[item];
  Row result;
  std::vector<int32_t> first = tokens_of(stream_, begin, end), second;
  if (options_.next_sentence) {
    const int64_t cut = begin + 1 + static_cast<int64_t>(random.below(static_cast<uint64_t>(end - begin - 1)));
    first = tokens_of(stream_, begin, cut);
    second = tokens_of(stream_, cut, end);
    if (random.uniform() < 0.5) {
      int64_t other = static_cast<int64_t>(random.below(static_cast<uint64_t>(stream_.documents() - 1)));
      if (other >= document) ++other;
      const auto [other_begin, other_end] = stream_.document(other);
      const int64_t length = std::min(end - cut, other_end - other_begin);
      const int64_t places = other_end - other_begin - length + 1;
      const int64_t from = other_begin + static_cast<int64_t>(random.below(static_cast<uint64_t>(places)));
      second = tokens_of(stream_, from, from + length);
      result.next_sentence = 1;
    }
  }
  result.ids.push_back(options_.cls);
  result.ids.insert(result.ids.end(), first.begin(), first.end());
  result.ids.push_back(options_.sep);
  if (options_.next_sentence) {
    result.second = result.ids.size();
    result.ids.insert(result.ids.end(), second.begin(), second.end());
    result.ids.push_back(options_.sep);
  }
  return result;
}

Batch MaskedBatches::batch(int64_t n) const {
  Batch batch;
  batch.rows = order_.rows_of(n, options_.rows, stream_.name());
  const auto key = [&](int64_t r, uint64_t use) {
    return options_.key.child(use).child(static_cast<uint64_t>(n * options_.rows + r));
  };
  std::vector<Row> rows;
  size_t longest = 0, shortest = SIZE_MAX;
  for (int64_t r = 0; r < batch.rows; ++r) {
    Random random(key(r, 1));
    rows.push_back(row(order_(n * options_.rows + r), random));
    longest = std::max(longest, rows.back().ids.size());
    shortest = std::min(shortest, rows.back().ids.size());
  }
  const size_t length = std::min((longest + 7) / 8 * 8, static_cast<size_t>(options_.length));
  const size_t cells = rows.size() * length;
  batch.length = static_cast<int64_t>(length);
  batch.input_ids.assign(cells, options_.pad);
  batch.labels.assign(cells, ignored_label);
  if (shortest < length) batch.attention_mask.assign(cells, 0);
  if (options_.next_sentence) batch.token_type_ids.assign(cells, 0);
  for (size_t r = 0; r < rows.size(); ++r) {
    const Row& row = rows[r];
    const size_t begin = r * length;
    const std::span<int32_t> ids = std::span(batch.input_ids).subspan(begin, row.ids.size());
    std::copy(row.ids.begin(), row.ids.end(), ids.begin());
    batch.target_count += corrupt(ids, std::span(batch.labels).subspan(begin, row.ids.size()), options_.masking,
                                  key(static_cast<int64_t>(r), 2));
    if (!batch.attention_mask.empty()) std::fill_n(batch.attention_mask.begin() + begin, row.ids.size(), uint8_t{1});
    if (options_.next_sentence) {
      std::fill(batch.token_type_ids.begin() + begin + row.second,
                batch.token_type_ids.begin() + begin + row.ids.size(), 1);
      batch.next_sentence.push_back(row.next_sentence);
    }
  }
  return batch;
}

}  // namespace qkv
