#include "qkv/tasks/fill.h"

#include "qkv/core/error.h"
#include "qkv/tasks/vocabulary_scores.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace qkv {

MaskFiller::MaskFiller(const fs::path& directory, TaskOptions options) : base_(directory, std::move(options)) {
  base_.require("filling masks", {Task::masked_lm, Task::pretraining}, "a masked-language-model head");
  if (!base_.tokenizer().special().mask) throw Error(directory.string(), "the tokenizer has no mask token");
}

Row MaskFiller::row(std::string_view text) const {
  Row row = base_.row(text);
  const int32_t mask = *base_.tokenizer().special().mask;
  if (std::find(row.ids.begin(), row.ids.end(), mask) == row.ids.end())
    throw Error("text", "has no mask to fill",
                fmt::format("write {} where a word is missing", base_.tokenizer().token(mask)));
  return row;
}

int32_t MaskFiller::target(std::string_view word) const {
  if (const auto id = base_.tokenizer().id(word)) return *id;
  const std::vector<int32_t> ids = base_.ids_of(word, "target");
  if (ids.size() == 1) return ids[0];
  std::string pieces;
  for (const int32_t id : ids) pieces += (pieces.empty() ? "" : ", ") + base_.tokenizer().token(id);
  throw Error("target", fmt::format("'{}' is not one token but {}: {}", word, ids.size(), pieces),
              "a mask stands for one token; name words that the vocabulary has");
}

namespace {

// The best tokens at one place: probabilities and ids, best first.
std::vector<std::pair<double, int32_t>> best_tokens(std::span<const float> logits, int64_t top_k,
                                                    std::span<const int32_t> targets) {
  std::vector<int32_t> ids(targets.begin(), targets.end());
  if (targets.empty()) {
    ids.resize(logits.size());
    std::iota(ids.begin(), ids.end(), 0);
  } else {
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  }
  const auto score = [&](int32_t id) { return logits[static_cast<size_t>(id)]; };
  const auto kept = ids.begin() + std::min<int64_t>(top_k, std::ssize(ids));
  std::partial_sort(ids.begin(), kept, ids.end(),
                    [&](int32_t a, int32_t b) { return score(a) != score(b) ? score(a) > score(b) : a < b; });
  const double partition = log_partition(logits);
  std::vector<std::pair<double, int32_t>> best;
  for (auto id = ids.begin(); id != kept; ++id)
    best.emplace_back(std::exp(static_cast<double>(score(*id)) - partition), *id);
  return best;
}

}  // namespace

std::vector<MaskFillings> MaskFiller::fill(std::span<const Row> rows, int64_t top_k,
                                           std::span<const int32_t> targets) const {
  const Tokenizer& tokenizer = base_.tokenizer();
  const int32_t mask = *tokenizer.special().mask;
  std::vector<MaskFillings> results(rows.size());
  base_.run(rows, [&](const RowBatch& batch) {
    struct Place {
      size_t row;
      size_t position;
      size_t number;  // of the row's masks
    };
    std::vector<Place> masks;
    std::vector<int32_t> places;
    for (size_t i = 0; i < batch.rows.size(); ++i) {
      const std::vector<int32_t>& ids = rows[batch.rows[i]].ids;
      size_t number = 0;
      for (size_t t = 0; t < ids.size(); ++t) {
        if (ids[t] != mask) continue;
        masks.push_back({batch.rows[i], t, number++});
        places.push_back(static_cast<int32_t>(i * static_cast<size_t>(batch.length) + t));
      }
      results[batch.rows[i]].resize(number);
    }
    const Tensor h = base_.model().hidden(batch.inputs, base_.context());
    visit_vocabulary_scores(base_, h, places, [&](size_t i, std::span<const float> logits) {
      const Place& place = masks[i];
      MaskFillings& of_row = results[place.row];
      std::vector<int32_t> ids = rows[place.row].ids;
      for (const auto& [score, token] : best_tokens(logits, top_k, targets)) {
        ids[place.position] = token;
        of_row[place.number].push_back(
            {score, token, tokenizer.decode(std::span(&token, 1)), tokenizer.decode(ids, of_row.size() == 1)});
      }
    });
  });
  return results;
}

MaskFillings MaskFiller::fill(std::string_view text, int64_t top_k) const {
  const Row one = row(text);
  return fill(std::span(&one, 1), top_k)[0];
}

}  // namespace qkv
