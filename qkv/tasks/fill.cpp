#include "qkv/tasks/fill.h"

#include "qkv/core/error.h"
#include "qkv/tasks/vocabulary_scores.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace qkv {

MaskFiller::MaskFiller(const fs::path& directory, TaskOptions options)
    : MaskFiller(TextModel(directory, std::move(options))) {}

MaskFiller::MaskFiller(TextModel base) : base_(std::move(base)) {
  base_.require("filling masks", {Task::masked_lm, Task::pretraining}, "a masked-language-model head");
  if (!base_.tokenizer().special().mask) throw Error(base_.directory().string(), "the tokenizer has no mask token");
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

// For a model that is asked for tokens beside the text (XLNet): hides the masks from all, and asks in their places, [B,
// M] with M the most masks of a row. `masks`: the positions of each row's.
void ask_for(const std::vector<std::vector<int32_t>>& masks, Inputs& inputs) {
  const int64_t T = inputs.input_ids.size(1);
  size_t most = 0;
  for (const std::vector<int32_t>& of_row : masks) most = std::max(most, of_row.size());
  std::vector<int32_t> targets;
  std::vector<uint8_t> hidden;
  for (const std::vector<int32_t>& of_row : masks) {
    targets.insert(targets.end(), of_row.begin(), of_row.end());
    targets.insert(targets.end(), most - of_row.size(), 0);
    std::vector<uint8_t> from(static_cast<size_t>(T), 0);
    for (const int32_t t : of_row) from[static_cast<size_t>(t)] = 1;
    for (int64_t t = 0; t < T; ++t) hidden.insert(hidden.end(), from.begin(), from.end());
  }
  inputs.targets = Tensor::from({std::ssize(masks), static_cast<int64_t>(most)}, targets);
  inputs.hidden_pairs = Tensor::from({std::ssize(masks), T, T}, hidden);
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
    std::vector<std::vector<int32_t>> positions(batch.rows.size());
    for (size_t i = 0; i < batch.rows.size(); ++i) {
      const std::vector<int32_t>& ids = rows[batch.rows[i]].ids;
      for (size_t t = 0; t < ids.size(); ++t) {
        if (ids[t] != mask) continue;
        masks.push_back({batch.rows[i], t, positions[i].size()});
        positions[i].push_back(static_cast<int32_t>(t));
      }
      results[batch.rows[i]].resize(positions[i].size());
    }
    Inputs inputs = batch.inputs;
    const bool asks = base_.model().spec().embeddings.query;
    if (asks) ask_for(positions, inputs);
    const Tensor h = base_.hidden(inputs);
    std::vector<int32_t> places;  // of the masks, among the rows of h
    for (size_t i = 0; i < positions.size(); ++i)
      for (size_t m = 0; m < positions[i].size(); ++m)
        places.push_back(static_cast<int32_t>(static_cast<int64_t>(i) * h.size(1)) +
                         (asks ? static_cast<int32_t>(m) : positions[i][m]));
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
